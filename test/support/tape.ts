/** Runs a suite that was written for tape under vitest: the calls of tape that such suites use. */
import { expect } from 'vitest'

interface Assertions {
  plan(count: number): void
  end(error?: unknown): void
  test(name: string, body: Body): void
  [assertion: string]: (...args: never[]) => unknown
}
type Body = (t: Assertions) => unknown

/** Whether an error is one that `throws` asks for. */
function fits(error: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (wanted instanceof RegExp) return wanted.test(String(error))
  return Boolean((wanted as (error: unknown) => unknown)(error))
}

function isSame(a: unknown, b: unknown): boolean {
  try {
    expect(a).toStrictEqual(b)
    return true
  } catch {
    return false
  }
}

async function runTape(body: Body): Promise<void> {
  let planned: number | undefined
  let made = 0
  const failures: string[] = []
  const inner: Promise<void>[] = []
  let settle: (error?: unknown) => void = () => undefined
  const ended = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error as Error) : resolve())
  })
  const note = (holds: boolean, name: string, message: unknown = '', ...values: unknown[]): void => {
    if (!holds) failures.push(`${name}: ${message as string} ${values.map((value) => JSON.stringify(value)).join(' ')}`)
    if (++made === planned) settle()
  }
  const throws = (run: () => unknown): [unknown] | undefined => {
    try {
      run()
      return undefined
    } catch (error) {
      return [error]
    }
  }
  const t: Record<string, (...args: unknown[]) => unknown> = {
    plan: (count) => void (planned = count as number),
    end: (error) => settle(error),
    pass: (message) => note(true, 'pass', message),
    fail: (message) => note(false, 'fail', message),
    ok: (value, message) => note(Boolean(value), 'ok', message, value),
    is: (a, b, message) => note(Object.is(a, b), 'is', message, a, b),
    isNot: (a, b, message) => note(!Object.is(a, b), 'isNot', message, a, b),
    same: (a, b, message) => note(isSame(a, b), 'same', message, a, b),
    throws: (run, wanted, message) => {
      const thrown = throws(run as () => unknown)
      note(thrown !== undefined && fits(thrown[0], wanted), 'throws', message, String(thrown?.[0]))
    },
    doesNotThrow: (run, message) => note(throws(run as () => unknown) === undefined, 'doesNotThrow', message),
    test: (_, inside) => void inner.push(runTape(inside as Body)),
  }
  const running = body(t as unknown as Assertions)
  const isAsync = typeof (running as { then?: unknown } | undefined)?.then === 'function'
  if (isAsync) await running
  await Promise.all(inner)
  // A body that is no promise ends by its plan, or by end().
  if (planned === undefined ? !isAsync && inner.length === 0 : made < planned) await ended
  expect(failures).toEqual([])
  if (planned !== undefined) expect(made, 'assertions made').toBe(planned)
}

type Case = (title: string, options: unknown, body?: Body) => void

/**
 * Runs a suite, one case after another, as each stands on those before it, and returns how many there were. They are one case of
 * vitest: to tell of more than a thousand takes longer than to run them.
 */
export async function runSuite(suite: (test: Case) => void): Promise<number> {
  const cases: [title: string, body: Body][] = []
  suite((title, options, body = options as Body) => void cases.push([title, body]))
  const failures: string[] = []
  for (const [i, [title, body]] of cases.entries()) {
    await runTape(body).catch((error: unknown) => failures.push(`${i + 1} ${title}: ${String(error)}`))
  }
  expect(failures).toEqual([])
  return cases.length
}
