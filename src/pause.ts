/** Lets other tasks of the program run, on every platform and beneath the fake timers of test runners. */

/** The platform's own, as they were when Tidemark was imported; any of them may be missing. */
type Ways = Pick<typeof globalThis, 'setTimeout' | 'setImmediate' | 'MessageChannel'>

type Turn = (ways: Ways, run: () => void) => unknown

/** The way in which other tasks get their turn that was the first to work. */
let turn: Turn | undefined

/** Resolves in a later turn of the event loop. */
export function pause(ways: Ways): Promise<void> {
  return new Promise((resolve) => {
    if (turn) turn(ways, resolve)
    else takeTurn(ways, resolve)
  })
}

/** Tries all ways at once: test runners put others in place of the platform's timers, which never fire. */
function takeTurn(ways: Ways, run: () => void): void {
  let tried = 0
  for (const way of [throughImmediate, throughPort]) {
    try {
      const isTried = way(ways, () => {
        turn ??= way
        run()
      })
      if (isTried) tried++
    } catch {
      // A way that cannot be used is as good as missing.
    }
  }
  if (tried > 0) return
  // Fakes that say so would never fire; nothing has to wait for them.
  if ('clock' in ways.setTimeout) run()
  else ways.setTimeout(run, 0)
}

function throughImmediate({ setImmediate }: Ways, run: () => void): boolean {
  if (!setImmediate || 'clock' in setImmediate) return false
  setImmediate(run)
  return true
}

/** A message port is not clamped to 4 ms as nested timeouts are in browsers. */
function throughPort({ MessageChannel }: Ways, run: () => void): boolean {
  if (!MessageChannel) return false
  const { port1, port2 } = new MessageChannel()
  port1.addEventListener('message', () => {
    port1.close()
    run()
  })
  port1.start()
  port2.postMessage(undefined)
  return true
}
