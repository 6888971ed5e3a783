/** @type {Record<string, { rule: string, edits: { file: string, find: string, replace: string }[] }>} */
export const mutations = {
  headRule: {
    rule: 'R17',
    edits: [
      { file: 'src/engine/open/catch-up.ts', find: '!ctx.rules.headRule || anchor.trim < state.head', replace: 'true' },
      {
        file: 'src/engine/open/recovery.ts',
        find: 'const isHead = !ctx.rules.headRule || value.trim < state.head',
        replace: 'const isHead = true',
      },
      {
        file: 'src/engine/open/claim.ts',
        find: 'if (ctx.rules.headRule && value.trim >= fence.entry.n) return undefined',
        replace: '',
      },
    ],
  },
}
