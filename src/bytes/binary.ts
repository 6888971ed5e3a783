/** Bytes as a string of one character each: for the keys of Maps, and on the way to base64. */

export function toBinary(bytes: Uint8Array): string {
  let text = ''
  // As many arguments as every platform takes.
  for (let i = 0; i < bytes.length; i += 1024) text += String.fromCharCode(...bytes.subarray(i, i + 1024))
  return text
}

export function fromBinary(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}
