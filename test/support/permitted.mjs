// A program that runs under Node's permission model: `node --experimental-permission … permitted.mjs <folder> <mode>`. Plain
// JavaScript on the built package. It prints what came of it as JSON.
import { isTidemarkError, openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'

const [folder, mode] = process.argv.slice(2)
try {
  const store = await openStore({ storage: nodeFs(folder), name: 's', mode })
  if (mode === 'exclusive') {
    store.put('key', 'value')
    await store.commit()
    await store.checkpoint()
    await store.tag('kept')
  }
  console.log(JSON.stringify({ value: await store.get('key') }))
  await store.close()
} catch (error) {
  if (!isTidemarkError(error)) throw error
  console.log(JSON.stringify({ code: error.code, retryable: error.retryable, message: error.message }))
}
