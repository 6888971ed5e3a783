/**
 * The pages of the repository as pages of the site, in dist/pages: README.md is the first one, those of docs/ follow. A file that is
 * no page but that one links to, such as a recipe in demo/, becomes a page that shows it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, posix } from 'node:path'

const root = join(import.meta.dirname, '../..')
export const staged = join(import.meta.dirname, 'dist/pages')

const LINK = /(\]\(|src(?:set)?=")(?!\w+:|#)([^)"\s#]+)(#[^)"\s]*)?/g
const PICTURES = ['.svg', '.png']

/** Where the site has a file of the repository. */
function placeOf(path) {
  if (path === 'README.md') return 'index.md'
  if (posix.dirname(path) === 'docs') return posix.basename(path)
  if (PICTURES.includes(extname(path))) return path.replace(/^docs\//, '')
  if (/^[A-Z]+(\.md)?$/.test(path)) return `${posix.basename(path, '.md').toLowerCase()}.md`
  return `source/${path}.md`
}

/** Writes all pages; what they link to comes after them. */
export function stagePages(folder = staged) {
  rmSync(folder, { recursive: true, force: true })
  const docs = readdirSync(join(root, 'docs')).filter((name) => extname(name) === '.md')
  const waiting = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.map((name) => `docs/${name}`)]
  const seen = new Set(waiting)
  for (const path of waiting) {
    const links = stage(path, folder)
    for (const link of links) {
      if (!seen.has(link)) waiting.push(link)
      seen.add(link)
    }
  }
}

/** Returns the files that it links to. */
function stage(path, folder) {
  const place = placeOf(path)
  const file = join(folder, place)
  mkdirSync(dirname(file), { recursive: true })
  const links = []
  if (PICTURES.includes(extname(path))) {
    cpSync(join(root, path), file)
  } else if (extname(path) === '.md') {
    const text = readFileSync(join(root, path), 'utf8')
    const moved = outsideOfCode(text, (prose) =>
      prose.replace(LINK, (_, before, target, heading = '') => {
        const to = posix.join(posix.dirname(path), target)
        const found = fileOf(to)
        // A link that leads nowhere stays as it is: vitepress finds it.
        if (found === undefined) return before + target + heading
        links.push(found)
        const relative = posix.relative(posix.dirname(place), placeOf(found))
        return `${before}${relative.startsWith('.') ? relative : `./${relative}`}${heading}`
      }),
    )
    writeFileSync(file, moved)
  } else {
    const language = extname(path).slice(1) || 'text'
    const code = readFileSync(join(root, path), 'utf8')
    writeFileSync(file, `# ${path}\n\n${'````'}${language}\n${code}${'````'}\n`)
  }
  return links
}

/** A file, or of a folder the one that one begins with. */
function fileOf(path) {
  if (!existsSync(join(root, path))) return undefined
  if (!statSync(join(root, path)).isDirectory()) return path
  const names = readdirSync(join(root, path))
  const first = ['README.md', 'index.html', 'main.mjs', 'worker.js'].find((name) => names.includes(name))
  return first && posix.join(path, first)
}

/** Code is nobody's link. */
function outsideOfCode(text, change) {
  return text
    .split(/^(```[^]*?^```$)/m)
    .map((part) => (part.startsWith('```') ? part : change(part)))
    .join('')
}
