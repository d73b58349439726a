import { readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { builtInDistributions } from './distributions/index.ts'
import type { DistributionContext } from './distributions/distribution.ts'
import { type Environment, settingOf } from './environment.ts'
import { nearest } from './nearest.ts'
import { ConfigErrors } from './report.ts'
import { expandHome } from './substitute.ts'
import { isNonEmpty } from './tree.ts'

/** Where a configuration came from. */
export interface ConfigOrigin {
  readonly kind: 'file' | 'distribution' | 'text' | 'providers'
  /** What messages call it: the path as given, the distribution's name. */
  readonly name: string
  /** The file's absolute path, where it is one. */
  readonly path?: string | undefined
}

export interface FoundSource {
  readonly text: string
  readonly origin: ConfigOrigin
}

interface SourceContext extends DistributionContext {
  readonly cwd: string
  readonly home: string
}

/**
 * Finds a configuration: an existing file, a built-in distribution, `NAME::file.yaml`, or a folder of one's own under `~/.corral/distributions`
 * (and Llama Stack's and OGX's folders). A text with line breaks is the configuration itself. Throws ConfigErrors.
 */
export async function findSource(source: string, context: SourceContext): Promise<FoundSource> {
  if (source.includes('\n')) return { text: source, origin: { kind: 'text', name: 'text' } }
  const name = source.trim()
  const path = resolve(context.cwd, expandHome(name, context.home))
  const file = statIfPossible(path)
  if (file?.isFile()) return readSource(path, name, file.size)
  const builtIn = builtInDistributions.find((one) => one.name === name)
  if (builtIn) return { text: await builtIn.text(context), origin: { kind: 'distribution', name } }
  for (const candidate of candidatesOf(name, context)) {
    const found = statIfPossible(candidate)
    if (found?.isFile()) return readSource(candidate, candidate, found.size)
  }
  const names = builtInDistributions.map((one) => one.name)
  const looksLikeFile = /[/\\]|\.(ya?ml|json)$/.test(name)
  const known = `Built in: ${names.join(', ')}; your own are in ${ownFolder(context.env, context.home)}.`
  const message = file ? `this is ${kindOf(file)}` : looksLikeFile ? 'no such file' : `no file and no distribution has this name. ${known}`
  throw new ConfigErrors([{ file: name, line: 0, column: 0, path: '', message, nearest: looksLikeFile ? undefined : nearest(name, names) }])
}

/** Bytes. */
const maxFileSize = 10_000_000

function readSource(path: string, name: string, size: number): FoundSource {
  if (size > maxFileSize) throw unusable(name, `the file has ${size} bytes, more than the ${maxFileSize} that a configuration may have`)
  try {
    return { text: readFileSync(path, 'utf8'), origin: { kind: 'file', name, path } }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown cause'
    throw unusable(name, `the file cannot be read (${code})`)
  }
}

function unusable(name: string, message: string): ConfigErrors {
  return new ConfigErrors([{ file: name, line: 0, column: 0, path: '', message }])
}

/** Undefined where there is nothing, or nothing that may be looked at. */
function statIfPossible(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return undefined
  }
}

function kindOf(file: Stats): string {
  if (file.isDirectory()) return 'a folder: name the file in it'
  if (file.isCharacterDevice() || file.isBlockDevice()) return 'a device, not a file'
  return file.isFIFO() ? 'a pipe, not a file' : 'a socket, not a file'
}

/** The folder in which `corral build --name NAME` puts distributions: `~/.corral/distributions`, or below `CORRAL_CONFIG_DIR`. */
export function ownFolder(env: Environment, home: string): string {
  const dir = env.CORRAL_CONFIG_DIR
  return join(isNonEmpty(dir) ? expandHome(dir.trim(), home) : join(home, '.corral'), 'distributions')
}

/** Where Corral, OGX and Llama Stack keep a distribution of this name. */
function candidatesOf(name: string, { env, home }: SourceContext): string[] {
  const [distribution = '', file] = name.split('::', 2)
  if (!/^[\w.-]+$/.test(distribution) || distribution.startsWith('.') || (file !== undefined && !/^[\w.-]+$/.test(file))) return []
  const other = settingOf({ OGX_CONFIG_DIR: env.OGX_CONFIG_DIR, LLAMA_STACK_CONFIG_DIR: env.LLAMA_STACK_CONFIG_DIR }, 'CONFIG_DIR')
  const roots = [ownFolder(env, home), ...(other ? [join(expandHome(other.value, home), 'distributions')] : [])]
  roots.push(join(home, '.ogx', 'distributions'), join(home, '.llama', 'distributions'))
  const folders = ['', 'ogx-', 'llamastack-'].map((prefix) => prefix + distribution)
  const files = file === undefined ? ['config.yaml', 'run.yaml', `${distribution}-config.yaml`, `${distribution}-run.yaml`] : [file]
  return roots.flatMap((root) => folders.flatMap((folder) => files.map((one) => join(root, folder, one))))
}

/** Where modules of third parties are looked for: beside the file, then in the working directory. */
export function moduleFolders(origin: ConfigOrigin, cwd: string): string[] {
  return [...new Set([...(origin.path ? [dirname(origin.path)] : []), cwd])]
}
