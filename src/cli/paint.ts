/** Colours text for a person at a terminal, unless NO_COLOR is set. */
import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
export type Paint = (style: Style, text: string) => string

interface Target {
  readonly isTTY?: boolean
}

/**
 * NO_COLOR (no-color.org) counts unless it is empty. It is read here, because `styleText` of older versions of Node does not
 * read it, and that of newer ones judges by the process's own stdout.
 */
export function paintOn(target: Target, env: NodeJS.ProcessEnv = process.env): Paint {
  if (!target.isTTY || env.NO_COLOR || env.TERM === 'dumb') return (_, text) => text
  return (style, text) => (text === '' ? '' : styleText(style, text, { validateStream: false }))
}
