import { join } from 'node:path'

/** What a model may be called: part of an id that callers write, and of a file's name. */
const nameForm = /^[a-z0-9][a-z0-9._-]{0,127}$/i

export function isModelName(name: string): boolean {
  return nameForm.test(name) && !name.includes('..')
}

/** The path of a model's file, whether it exists or not; undefined for an invalid model name. */
export function modelFile(folder: string, name: string): string | undefined {
  return isModelName(name) ? join(folder, `${name}.gguf`) : undefined
}

/** What belongs to one model in the store. The name must be a model's name. */
interface ModelFiles {
  /** The model. */
  readonly model: string
  /** The model while it is fetched. */
  readonly part: string
  /** Where it came from, as JSON. */
  readonly manifest: string
  /** Exists while it is downloaded. */
  readonly lock: string
}

export function modelFiles(folder: string, name: string): ModelFiles {
  const base = join(folder, name)
  return { model: `${base}.gguf`, part: `${base}.gguf.part`, manifest: `${base}.json`, lock: `${base}.lock` }
}
