// @ts-check
/**
 * The page, built and served on this machine, with a bucket beside it.
 *
 *     npm run demo:web                    prints the address and serves until Ctrl-C
 *     npm run demo:web -- --port 8080     at a port of one's own
 *     npm run demo:web -- --check         drives the page through its main story in Chromium, and ends
 */
import { parseArgs } from 'node:util'
import { checkPage } from './check.mjs'
import { startSite } from './site.mjs'

const { check, port } = readOptions()
const site = await startSite({ port }).catch((error) => {
  console.error(`demo:web: The page could not be started: ${error.message}`)
  process.exit(1)
})

if (check) {
  try {
    for await (const sentence of checkPage(site.url)) console.log(`  ${sentence}`)
    console.log('The page does what it says.')
  } catch (error) {
    console.error(`demo:web: The page failed: ${/** @type {Error} */ (error).message}`)
    process.exitCode = 1
  } finally {
    await site.close()
  }
} else {
  console.log(`The page is at ${site.url}\nCtrl-C ends it.`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void site.close())
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { check: { type: 'boolean', default: false }, port: { type: 'string' } },
    })
    // The same one each time: to the browser another port is another place, with another storage.
    const { check, port: given = check ? '0' : '4173' } = values
    const port = Number(given)
    if (!/^\d+$/.test(given) || port > 65_535) {
      throw new Error(`--port takes a whole number from 0 to 65,535, not "${given}"`)
    }
    return { check, port }
  } catch (error) {
    const [sentence] = String(/** @type {Error} */ (error).message).split(/\. |\n/)
    console.error(`demo:web: ${sentence?.replace(/\.$/, '')}.`)
    process.exit(1)
  }
}
