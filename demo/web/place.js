/** Where the state lies and how it is opened: the same in the page, in its worker and in other tabs. */
export const DATABASE = 'tidemark-demo'
export const NAME = 'flights'
export const PARTITIONS = 4
/** The name of the stream, under which its position is committed. */
export const SOURCE = 'flights'

/** Folds come sooner than by default, and old segments go sooner, so that a visitor sees both. */
export const optionsFor = (storage) => ({
  storage,
  name: NAME,
  partitions: PARTITIONS,
  job: 'flights-page',
  checkpoint: { entries: 10 },
  graceMs: 30_000,
  logger: false,
})

/** How many flights a version has counted, by the position that it has committed. */
export const countedIn = (offsets) => {
  const at = offsets[SOURCE]
  return Number(typeof at === 'object' ? (at[0] ?? 0) : (at ?? 0))
}

/** How long the job rests after a commit in milliseconds, so that one can watch it; tests do not wait. */
export const restMs = Number(new URL(location.href).searchParams.get('rest') ?? 150)

/** Leaves a state on the screen for as long as the eye needs to see it. */
export const moment = () => new Promise((resolve) => setTimeout(resolve, 8 * restMs))

let loading
/** All flights, in the order in which they are counted. */
export const loadFlights = () => (loading ??= fetch('/flights.json').then((response) => response.json()))
