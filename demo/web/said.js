/** The one sentence that tells the effect of the last act. */
import { signal } from './signal.js'

export const said = signal('Press Start: a worker begins to count.')
/** The name of the act that is under way. */
export const busy = signal('')

export const say = (sentence) => said.set(sentence)

/** Runs what a button does, one at a time, and says how it ended. */
export async function act(name, run) {
  if (busy.get() !== '') return
  busy.set(name)
  await trying(name, run)
  busy.set('')
}

/** Runs it, also beside others, and says how it ended. */
export async function trying(name, run) {
  try {
    const sentence = await run()
    if (sentence) say(sentence)
  } catch (error) {
    say(`${name} failed: ${error.message}`)
  }
}
