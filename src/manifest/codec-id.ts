/** The codec id that is recorded with a table: that of its codec, and behind it the version of the values that was written last. */
const VERSION = '\0v'

export function recordedId(codec: string, version: number): string {
  return version > 1 ? codec + VERSION + version : codec
}

/** The codec and the version that a table was written with last. */
export function splitId(recorded: string): { readonly codec: string; readonly version: number } {
  const [codec, version] = recorded.split(VERSION) as [string, string | undefined]
  return { codec, version: version === undefined ? 1 : Number(version) }
}
