/** The work that goes on beside a collector, in another handle, and must not be harmed by it: for stores in memory and on every adapter. */
import { expect } from 'vitest'
import { isTidemarkError, type Store } from 'tidemark'
import { contents, open, type Beside, type Template } from './collect-world.js'

/** Lets an error of Tidemark pass; any other one fails the test. */
const typed = (error: unknown): undefined => {
  if (!isTidemarkError(error)) throw error
}

/** A reader on kept versions, which goes on reading. */
export function readerOf({ past }: Template): Pick<Beside, 'before'> {
  return {
    async before(storage) {
      const follower = await open(storage, { mode: 'follower', cacheBytes: 0 })
      const [oldest] = [...past.versions].slice(-3)
      const views = [await follower.at(oldest![0]), await follower.at('kept'), await follower.snapshot()]
      const expected = await Promise.all(views.map(contents))
      expect(expected[0]).toBe(oldest![1])
      return async () => {
        expect(await Promise.all(views.map(contents))).toEqual(expected)
        await follower.refresh()
        expect(await Promise.all(views.map(contents))).toEqual(expected)
        await follower.close()
      }
    },
  }
}

/** A former owner, which goes on collecting. */
export function formerOwner(): Pick<Beside, 'before' | 'during'> {
  let former: Store
  return {
    async before(storage) {
      former = await open(storage)
      // It has condemned something, and believes that it is to delete it.
      await former.maintain()
      return async () => {
        await former.maintain().catch(typed)
        await former.close()
      }
    },
    during: () => former.maintain().catch(typed),
  }
}
