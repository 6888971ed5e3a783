declare global {
  // As lib.esnext.disposable has it: a program that is compiled without that has to understand these declarations, too.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
  }
}

/** What `await using` closes. */
export interface Disposable {
  [Symbol.asyncDispose](): Promise<void>
}
