import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

export const root = resolve(import.meta.dir, '../..')

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  path: string
  text: string
  lines: number
  imports: readonly Import[]
}

interface Import {
  /** A path relative to the repository where it is one of our files, else the package's name as written. */
  target: string
  own: boolean
  typeOnly: boolean
}

const importPattern = /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm

/** Every TypeScript file below `folder`, read and with its imports resolved. */
export function sources(folder: string): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => read(join(root, folder, name)))
}

/** Files that are shipped: neither tests nor the testing kit. */
export function shipped(): SourceFile[] {
  return sources('src').filter(({ path }) => !path.endsWith('.test.ts') && !path.startsWith('src/testing/'))
}

function read(absolute: string): SourceFile {
  return sourceFile(slashed(absolute), readFileSync(absolute, 'utf8'))
}

/** As if `text` stood at `path`, relative to the repository. */
export function sourceFile(path: string, text: string): SourceFile {
  const absolute = join(root, path)
  const imports = [...text.matchAll(importPattern)].map((match): Import => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? ''
    const own = specifier.startsWith('.')
    return { target: own ? slashed(resolve(dirname(absolute), specifier)) : specifier, own, typeOnly: Boolean(match[1]) }
  })
  return { path, text, lines: text.split('\n').length - 1, imports }
}

function slashed(absolute: string): string {
  return relative(root, absolute).replaceAll('\\', '/')
}

/** `src/http/mount.ts` → `http`; `src/errors.ts` → `errors`. */
export function partOf(path: string): string {
  return path.split('/')[1]?.replace(/(\.test)?\.ts$/, '') ?? ''
}

export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|[^:])\/\/.*$/gm, '$1')
}

/** Source text without comments and strings' contents, for rules about what code does. */
export function codeOnly(text: string): string {
  return withoutComments(text).replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''")
}
