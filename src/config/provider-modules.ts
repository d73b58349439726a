import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { loadDefinition, type LoadedDefinition } from '../providers/load-definition.ts'

type LoadedModule =
  | LoadedDefinition
  /** A module of Llama Stack's own world, which no JavaScript server can load. */
  | { readonly kind: 'python' }

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
  return await loadDefinition(url)
}

/** The URL of the module, resolved like an import in one of the folders. */
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
