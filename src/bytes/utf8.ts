// Where they are missing, opening a store says so.
const encoder = globalThis.TextEncoder && new TextEncoder()
const decoder = globalThis.TextDecoder && new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 of a string; a lone surrogate must have been refused before (it would become U+FFFD). */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Below this length it is quicker to look at each byte than to ask the platform. */
const SHORT = 32

/** The string of UTF-8 bytes; throws a `TypeError` when they are not well-formed. */
export function fromUtf8(bytes: Uint8Array): string {
  let isAscii = bytes.length < SHORT
  // A list is passed on more quickly than an array of bytes.
  const codes: number[] = []
  for (let i = 0; isAscii && i < bytes.length; i++) isAscii = (codes[i] = bytes[i]!) < 0x80
  return isAscii ? String.fromCharCode.apply(undefined, codes) : decoder.decode(bytes)
}

/** False for a string with a lone surrogate, which has no UTF-8. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}
