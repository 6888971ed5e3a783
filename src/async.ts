/** Runs of tasks that must not run beside each other. */

/** Returns what runs tasks one after another, in the order of the calls. */
export function serial(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (task) => {
    const run = last.then(task)
    last = run.catch(() => {})
    return run
  }
}

/** Returns what runs a task, unless one of the same key is under way: then its callers share that, and what comes of it. */
export function singleFlight(): <T>(key: string, task: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<unknown>>()
  return <T>(key: string, task: () => Promise<T>) => {
    const run = (running.get(key) as Promise<T> | undefined) ?? task().finally(() => running.delete(key))
    running.set(key, run)
    return run
  }
}

/** Waits for all, also when one fails; then throws the first error. Nothing goes on behind the back of who clears up. */
export async function allOf<T>(tasks: Iterable<Promise<T>>): Promise<T[]> {
  const settled = await Promise.allSettled(tasks)
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}
