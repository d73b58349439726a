import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { root } from './source.ts'

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** Every file that a page may name. */
const files = ['src', 'test', 'bench', 'bin', 'install'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
)
/** Files of a reader's own. */
const examples = new Set(['acme.ts', 'app.ts'])

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'))
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8')

  test('links to pages that are there', () => {
    const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target = '']) => join(root, dirname(page), target))
    expect(targets.filter((target) => !existsSync(target)).map((target) => relative(root, target))).toEqual([])
  })

  test('links to headings that are there', () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)].map(([, target = '', anchor = '']) => ({ target, anchor }))
    const missing = links.filter(({ target, anchor }) => {
      const file = target === '' ? join(root, page) : join(root, dirname(page), target)
      return file.endsWith('.md') && !anchorsOf(readFileSync(file, 'utf8')).has(anchor)
    })
    expect(missing).toEqual([])
  })

  test.skipIf(page === 'CHANGELOG.md')('names files by names that exist', () => {
    const named = [...text.matchAll(/`((?:[\w.-]+\/)*[\w.-]+\.ts)`/g)].map(([, path = '']) => path)
    expect(named.filter((path) => !examples.has(path) && !files.some((file) => file === path || file.endsWith(`/${path}`)))).toEqual([])
  })

  test('names files that are there', () => {
    const named = [...text.matchAll(/`((?:src|test|bench|docs|bin|install)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })
})
