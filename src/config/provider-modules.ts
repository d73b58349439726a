import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { ProviderDefinition } from '../providers/provider.ts'

export type LoadedModule =
  | { readonly kind: 'definition'; readonly definition: ProviderDefinition }
  /** A module of Llama Stack's own world, which no JavaScript server can load. */
  | { readonly kind: 'python' }
  | { readonly kind: 'problem'; readonly message: string }

/**
 * Loads a third party's provider: an npm package, or a path, whose default export is a provider definition.
 * `folders` are where it is looked for, in order: the configuration file's folder, then the working directory.
 */
export async function loadProviderModule(name: string, folders: readonly string[]): Promise<LoadedModule> {
  const url = resolveModule(name, folders)
  if (url === undefined) {
    if (isPythonModule(name)) return { kind: 'python' }
    return {
      kind: 'problem',
      message: `the package is not installed in ${folders.join(' or ')}: npm install it there, or give a path that begins with ./`,
    }
  }
  let loaded: { default?: unknown }
  try {
    loaded = await import(url)
  } catch (error) {
    return { kind: 'problem', message: `the module fails to load: ${error instanceof Error ? error.message : String(error)}` }
  }
  const lacks = whatLacks(loaded.default)
  if (lacks !== undefined) return { kind: 'problem', message: `its default export is not a provider definition: ${lacks}` }
  return { kind: 'definition', definition: loaded.default as ProviderDefinition }
}

/** The URL of the file that the name stands for, as an import in one of the folders would find it. */
function resolveModule(name: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    try {
      const url = import.meta.resolve(name, pathToFileURL(join(folder, 'config.js')).href)
      if (url.startsWith('file:') && statSync(fileURLToPath(url), { throwIfNoEntry: false })?.isFile()) return url
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ''
      if (!['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(code)) throw error
    }
  }
  return undefined
}

/** `llama_stack_provider_x`, `a_company.providers.x`, `ramalama-stack==0.3.0`, `x[extra]>=1`. */
function isPythonModule(name: string): boolean {
  if (/[=<>~!]=|\[[\w,]+\]/.test(name)) return true
  return /^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/.test(name) && /[._]/.test(name)
}

function whatLacks(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'it is missing; export default defineProvider({ ... })'
  const definition = value as Partial<Record<keyof ProviderDefinition, unknown>>
  for (const key of ['api', 'type', 'description'] as const) if (typeof definition[key] !== 'string') return `'${key}' must be text`
  if (typeof definition.create !== 'function') return "'create' must be a function"
  const { config } = definition
  const isSchema = typeof config === 'object' && config !== null && '_zod' in config && 'safeParse' in config
  if (!isSchema) return "'config' must be a zod 4 schema"
  return undefined
}
