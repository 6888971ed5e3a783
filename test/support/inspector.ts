/** The inspector as its users see it. Locators look into open shadow roots. */
import { AxeBuilder } from '@axe-core/playwright'
import type { Locator, Page } from 'playwright-core'
import { expect } from 'vitest'

export interface Inspector {
  readonly slider: Locator
  readonly second: Locator
  readonly table: Locator
  readonly prefix: Locator
  readonly button: (name: string) => Locator
  /** The words beside the partitions, the log and the segments. */
  readonly parts: () => Promise<string[]>
  /** The cells of each row of a grid. */
  readonly rows: (region: 'Entries' | 'Differences') => Promise<string[][]>
}

export function inspectorOn(page: Page): Inspector {
  return {
    slider: page.getByLabel('Version to look at'),
    second: page.getByLabel('Beside it'),
    table: page.getByRole('combobox', { name: 'Table' }),
    prefix: page.getByLabel('Keys that begin with'),
    button: (name) => page.getByRole('button', { name, exact: true }),
    parts: async () => {
      const figures = await page.getByRole('figure').locator('figcaption').allTextContents()
      return [...figures, ...(await page.getByRole('figure').getByRole('listitem').allTextContents())]
    },
    rows: (region) =>
      page
        .locator(`.scroll[aria-label="${region}"] tbody tr`)
        .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))),
  }
}

/** What a page says that should say nothing, and where it asks for something. */
export function listenTo(page: Page): { readonly troubles: string[]; readonly requests: string[] } {
  const troubles: string[] = []
  const requests: string[] = []
  page.on('pageerror', (error) => troubles.push(String(error)))
  // What a content policy refuses is told on the console.
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
  })
  page.on('request', (request) => requests.push(request.url()))
  return { troubles, requests }
}

export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
}
