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
  checkpoint: { entries: 24, bytes: 256 << 10 },
  graceMs: 30_000,
  logger: false,
})

/** How many flights a version has counted, by the position that it has committed. */
export const countedIn = (offsets) => {
  const at = offsets[SOURCE]
  return Number(typeof at === 'object' ? (at[0] ?? 0) : (at ?? 0))
}

let loading
/** All flights, in the order in which they are counted. */
export const loadFlights = () => (loading ??= fetch('/flights.json').then((response) => response.json()))
