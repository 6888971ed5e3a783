import { toHex } from '../bytes/hex.js'

/** Where a probe writes. */
export function probePath(path: string, random: Uint8Array): string {
  return `${path}/probe-${toHex(random)}`
}

/** Whether a path or name was made by a probe; such leftovers may be deleted whenever they are found. */
export function isProbe(path: string): boolean {
  return /\/probe-[0-9a-f]{16}(\/|$)/.test(path)
}
