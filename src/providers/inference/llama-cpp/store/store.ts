import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { catalogueModel } from '../catalogue.ts'
import { isLocked } from './lock.ts'
import { isModelName, modelFiles } from './paths.ts'
import { PullError } from './pull-error.ts'

const manifest = z.object({
  source: z.string(),
  sha256: z.string(),
  licence: z.string().optional(),
  type: z.enum(['llm', 'embedding']).default('llm'),
  pulledAt: z.string(),
})

/** What is known of a model beside its file. */
type Manifest = z.output<typeof manifest>

export interface LocalModel extends Partial<Manifest> {
  readonly name: string
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly type: 'llm' | 'embedding'
}

/** The models in a folder, by name: `NAME.gguf` files, with a manifest where they were pulled. A folder that is not there holds none. */
export async function listLocalModels(folder: string): Promise<LocalModel[]> {
  const files = await entriesOf(folder)
  const names = files.filter((file) => file.endsWith('.gguf')).map((file) => file.slice(0, -'.gguf'.length))
  const models = await Promise.all(names.filter(isModelName).map((name) => findLocalModel(folder, name)))
  return models.filter((model) => model !== undefined).toSorted((a, b) => a.name.localeCompare(b.name))
}

export async function findLocalModel(folder: string, name: string): Promise<LocalModel | undefined> {
  if (!isModelName(name)) return undefined
  const files = modelFiles(folder, name)
  const info = await stat(files.model).catch(absent)
  if (!info?.isFile()) return undefined
  const known = await readManifest(files.manifest)
  return { name, path: files.model, size: info.size, type: catalogueModel(name)?.type ?? 'llm', ...known }
}

/** Puts a whole, checked file into its place, its manifest first, so that no model is ever without one. */
export async function addLocalModel(folder: string, name: string, facts: Manifest): Promise<void> {
  const files = modelFiles(folder, name)
  await writeFile(files.manifest, `${JSON.stringify(facts, null, 2)}\n`)
  await rename(files.part, files.model)
}

/** Deletes a model, or what was fetched of it so far. False where there was neither. Throws PullError (`busy`) while it is fetched. */
export async function removeLocalModel(folder: string, name: string): Promise<boolean> {
  if (!isModelName(name)) return false
  const files = modelFiles(folder, name)
  if (await isLocked(files.lock)) throw new PullError(`'${name}' is being downloaded.`, { reason: 'busy' })
  const mine = (await entriesOf(folder)).filter((file) => file === `${name}.gguf` || file.startsWith(`${name}.gguf.`))
  for (const file of mine) await rm(`${folder}/${file}`, { force: true })
  await rm(files.manifest, { force: true })
  return mine.length > 0
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch(absent)
  if (text === undefined) return undefined
  try {
    return manifest.safeParse(JSON.parse(text)).data
  } catch (error) {
    // Somebody edited it: the model is usable all the same.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function entriesOf(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? []
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
