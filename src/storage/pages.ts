import type { Answer, BlobInfo, Blobs, CallOptions } from './contract.js'

/** All blobs whose names begin with `prefix`, page by page, in the order of the names. */
export async function* pagesOf(
  blobs: Blobs,
  prefix: string,
  options: CallOptions = {},
): AsyncGenerator<Answer & { readonly items: readonly BlobInfo[] }, void> {
  for (let after: string | undefined; ;) {
    const page = await blobs.list(prefix, { ...options, after })
    yield page
    if (!page.more) return
    after = page.items.at(-1)?.name ?? after
  }
}
