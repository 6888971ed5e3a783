/** What keeps a state readable for as long as somebody reads it. */
export interface Hold {
  /** A step of the reading. Returns whether the last one was so lately that collection has left the state alone. */
  use(): boolean
  release(): void
}
