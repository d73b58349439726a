import { join } from 'node:path'

/** What a model may be called: part of an id that callers write, and of a file's name. */
const nameForm = /^[a-z0-9][a-z0-9._-]{0,127}$/i

export function isModelName(name: string): boolean {
  return nameForm.test(name) && !name.includes('..')
}

/** Where a model's file lies, there or not; undefined for what is no model's name. */
export function modelFile(folder: string, name: string): string | undefined {
  return isModelName(name) ? join(folder, `${name}.gguf`) : undefined
}
