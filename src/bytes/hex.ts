const DIGITS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/** Eight digits. */
export function hexOfU32(value: number): string {
  return value.toString(16).padStart(8, '0')
}

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += DIGITS[byte]!
  return text
}
