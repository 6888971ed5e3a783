/** A module, named from the root, with a copy of all sources in which a mutation of test/mutations.mjs is made. */
export async function mutated<Module>(path: string, mutation: string): Promise<Module> {
  const module: unknown = await import(/* @vite-ignore */ `../../${path}?mutation=${mutation}`)
  return module as Module
}
