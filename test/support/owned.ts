import type { Storage } from 'tidemark'

/** Stores in it are opened as elsewhere: by default for one owner, as the suites have it. */
export function owned(storage: Storage): Storage {
  return { ...storage, capabilities: { ...storage.capabilities, mode: undefined } }
}
