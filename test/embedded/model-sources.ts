import { afterEach, beforeEach, expect } from 'bun:test'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEgress } from '../../src/egress/egress.ts'
import type { CatalogueModel } from '../../src/providers/inference/llama-cpp/catalogue.ts'
import { PullError } from '../../src/providers/inference/llama-cpp/store/pull-error.ts'
import type { PullOptions, ModelSource } from '../../src/providers/inference/llama-cpp/store/pull.ts'
import { Secret } from '../../src/secret.ts'
import { tinyModel } from '../../src/testing/tiny-model.ts'

export const model = tinyModel()
export const sha256 = createHash('sha256').update(model).digest('hex')

interface Seen {
  path: string
  range: string | null
  authorization: string | null
}

/** A loopback server that serves files by path and records the requests. */
export function hub(response: (request: Request, seen: Seen) => Response | Promise<Response>) {
  const seen: Seen[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const one = {
        path: new URL(request.url).pathname,
        range: request.headers.get('range'),
        authorization: request.headers.get('authorization'),
      }
      seen.push(one)
      return response(request, one)
    },
  })
  return { url: `http://127.0.0.1:${server.port}`, seen, [Symbol.dispose]: () => void server.stop(true) }
}

/** The file, or the rest of it from where the range begins. */
export function part({ range }: Seen, bytes: Uint8Array = model): Response {
  const start = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
  if (start >= bytes.length) return new Response(null, { status: 416 })
  const headers = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
  return new Response(bytes.slice(start), start === 0 ? {} : { status: 206, headers })
}

/** A store that does not exist yet, of its own for each test. */
export function freshFolder(): () => string {
  let folder = ''
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'corral-test-')), 'models')
  })
  afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))
  return () => folder
}

interface Sources {
  hub?: string
  token?: string
  index?: string
}

export function options(
  folder: string,
  { hub: url = 'http://127.0.0.1:9', token, index = 'http://127.0.0.1:9' }: Sources,
  more: Partial<PullOptions> = {},
): PullOptions {
  return {
    folder,
    sources: { egress: createEgress(), hub: url, packageIndex: index, ...(token !== undefined && { hubToken: new Secret(token) }) },
    signal: new AbortController().signal,
    onProgress: () => undefined,
    onNote: () => undefined,
    ...more,
  }
}

export const fromHub: ModelSource = { kind: 'hub', name: 'thing', repo: 'owner/repo', file: 'thing.gguf' }
export const thing: CatalogueModel = {
  name: 'thing',
  description: 'For tests.',
  type: 'llm',
  licence: 'MIT',
  licenceUrl: 'https://example.com',
  size: model.length,
  sha256,
  tools: false,
  contextLength: 2048,
  hub: { repo: 'owner/repo', file: 'thing.gguf' },
}
export const known: ModelSource = { kind: 'catalogue', model: thing }

export async function failure(work: Promise<unknown>): Promise<PullError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(PullError)
  return error as PullError
}
