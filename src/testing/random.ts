/** Random-looking numbers that follow from a seed: sfc32, which passes the usual batteries of tests and needs no bigints. */
export class Random {
  #a = 0x9e3779b9
  #b = 0x243f6a88
  #c: number
  #d = 1

  constructor(seed: number) {
    this.#c = seed | 0
    this.#b ^= Math.floor(seed / 2 ** 32) | 0
    for (let i = 0; i < 16; i++) this.#word()
  }

  /** A number from 0 up to 1, but not 1 itself. */
  next(): number {
    return this.#word() / 2 ** 32
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** True with this probability, from 0 to 1. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** `length` bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#word()
    return bytes
  }

  #word(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + t) | 0
    return t >>> 0
  }
}
