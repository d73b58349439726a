import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI, { toFile } from 'openai'
import { fetchFrom } from '../../../src/app.ts'
import { routes } from '../../../src/api/index.ts'
import type { BuildOptions } from '../../../src/services.ts'
import { migrations } from '../../../src/storage/migrations/index.ts'
import { engines } from '../../../src/testing/engines.ts'
import { testApp, testConfig, type TestApp } from '../../../src/testing/index.ts'
import { known } from '../../pipeline/servers.ts'
import { until } from '../../storage/processes.ts'
import type { TenantRequest } from '../../tenants/resources.ts'
import { testTenants } from '../../tenants/tenant-tests.ts'
import { notes } from './migration.ts'
import { noteJobs, noteRoutes } from './routes.ts'

/** What the resource adds to the server: an entry in each list. */
const build: BuildOptions = { routes: [...routes, ...noteRoutes], migrations: [...migrations, notes], jobs: noteJobs }

function upload(name: string, text = 'some words of text'): FormData {
  const form = new FormData()
  form.append('file', new Blob([text], { type: 'text/plain' }), `${name}.txt`)
  form.append('name', name)
  return form
}

const post = (path: string, body: unknown): TenantRequest => ({ method: 'POST', path, body })

testTenants(
  'notes',
  {
    policies: {
      'the default policy': [],
      'owners only': [{ permit: { actions: ['create'] } }, { permit: { actions: ['read', 'update', 'delete'] }, when: 'user is owner' }],
    },
    create: (name) => post('/v1/notes', upload(name)),
    idOf: ({ id }) => id as string,
    absentId: (id) =>
      id.slice(0, -20) + id.slice(-20).replaceAll(/[0-9a-f]/g, (digit) => ((Number.parseInt(digit, 16) + 5) % 16).toString(16)),
    list: { method: 'GET', path: '/v1/notes' },
    verbs: {
      get: (id) => ({ method: 'GET', path: `/v1/notes/${id}` }),
      rename: (id) => post(`/v1/notes/${id}`, { name: 'mine now' }),
      download: (id) => ({ method: 'GET', path: `/v1/notes/${id}/content` }),
      delete: (id) => ({ method: 'DELETE', path: `/v1/notes/${id}` }),
      'list behind it': (id) => ({ method: 'GET', path: `/v1/notes?after=${id}` }),
    },
  },
  // Without the job: what is made stays as it was made.
  { build: { ...build, jobs: [] } },
)

interface Note {
  readonly id: string
  readonly name: string
  readonly bytes: number
  readonly words: number | null
}

for (const engine of engines) {
  describe(`a resource that is a folder, a table and a list entry, on ${engine.name}`, () => {
    const parts = new AsyncDisposableStack()
    let app: TestApp
    let home: string
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'corral-notes-'))
      parts.defer(() => rm(home, { recursive: true, force: true }))
      const { backend } = parts.use(await engine.fresh())
      const storage = { backends: {}, records: backend, recordsConfigured: true }
      const config = testConfig({ storage, home, auth: { authenticators: [{ type: 'known' }] } as never })
      app = parts.use(await testApp(config, { ...build, authentication: known({ alice: { attributes: {} } }) }))
    })
    afterAll(() => parts.disposeAsync())

    const ask = (path: string, init: RequestInit = {}) =>
      app.fetch(path, { ...init, headers: { authorization: 'Bearer alice', ...(init.headers as Record<string, string>) } })
    const json = async <T>(path: string, init?: RequestInit) => (await (await ask(path, init)).json()) as T
    const create = (name: string, text?: string) => json<Note>('/v1/notes', { method: 'POST', body: upload(name, text) })

    test('[RES-1] is created, read, changed and deleted, and its bytes with it', async () => {
      const made = await create('first', 'one two three')
      expect(made).toMatchObject({ object: 'note', name: 'first', bytes: 13 })
      expect(await json<Note>(`/v1/notes/${made.id}`)).toMatchObject({ id: made.id, name: 'first' })
      const renamed = await json<Note>(`/v1/notes/${made.id}`, {
        method: 'POST',
        body: JSON.stringify({ name: 'renamed' }),
        headers: { 'content-type': 'application/json' },
      })
      expect(renamed.name).toBe('renamed')
      const file = join(home, 'notes', made.id)
      expect(existsSync(file)).toBe(true)
      expect(await json(`/v1/notes/${made.id}`, { method: 'DELETE' })).toEqual({ id: made.id, object: 'note', deleted: true })
      expect([(await ask(`/v1/notes/${made.id}`)).status, existsSync(file)]).toEqual([404, false])
    })

    test('[RES-1] serves its bytes with ranges and conditions', async () => {
      const { id } = await create('bytes', 'abcdefgh')
      const content = `/v1/notes/${id}/content`
      const part = await ask(content, { headers: { range: 'bytes=2-4' } })
      expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/8', 'cde'])
      const etag = part.headers.get('etag') ?? ''
      expect((await ask(content, { headers: { 'if-none-match': etag } })).status).toBe(304)
      const head = await ask(content, { method: 'HEAD' })
      expect([head.headers.get('content-length'), head.headers.get('content-disposition')]).toEqual(['8', 'attachment; filename="bytes"'])
    })

    test('[RES-2] is listed page by page, as OpenAI’s clients do', async () => {
      const names = Array.from({ length: 7 }, (_, at) => `page ${at}`)
      for (const name of names) await create(name)
      const client = new OpenAI({ apiKey: 'alice', baseURL: 'http://127.0.0.1/v1', fetch: fetchFrom(app.app) })
      const found: string[] = []
      for (let after: string | undefined; ;) {
        const query = { limit: 3, order: 'asc', ...(after !== undefined && { after }) }
        const page = await client.get<{ data: Note[]; last_id: string; has_more: boolean }>('/notes', { query })
        found.push(...page.data.map(({ name }) => name))
        after = page.last_id
        if (!page.has_more) break
      }
      expect(found.filter((name) => name.startsWith('page '))).toEqual(names)
      const made = await client.post<Note>('/notes', { body: upload('by the client') })
      expect(made.name).toBe('by the client')
      expect(await toFile(Buffer.from('x'), 'x')).toBeInstanceOf(File)
    })

    test('[RES-3] asks who it is, checks what is sent, and refuses in the usual envelope', async () => {
      expect((await app.fetch('/v1/notes')).status).toBe(401)
      const nameless = await ask('/v1/notes', { method: 'POST', body: new FormData() })
      expect([nameless.status, await nameless.json()]).toEqual([
        400,
        { error: expect.objectContaining({ type: 'invalid_request_error', param: 'file', code: 'missing_required_parameter' }) },
      ])
      const { id } = await create('strict')
      const change = { method: 'POST', body: '{"bytes": 1}', headers: { 'content-type': 'application/json' } }
      expect((await ask(`/v1/notes/${id}`, change)).status).toBe(400)
    })

    test('[RES-4] has its job done, queued with the row', async () => {
      const { id, words } = await create('counted', 'one two  three\nfour')
      expect(words).toBeNull()
      await until(async () => (await json<Note>(`/v1/notes/${id}`)).words === 4)
    })

    test('[RES-5] is documented', async () => {
      interface Operation {
        readonly requestBody?: { readonly content: object }
      }
      interface Document {
        readonly paths: Record<string, Record<string, Operation>>
        readonly components: { readonly schemas: object }
      }
      const { paths, components } = await json<Document>('/openapi.json')
      const documented = Object.keys(paths).filter((path) => path.startsWith('/v1/notes'))
      expect(documented).toEqual(['/v1/notes', '/v1/notes/{note_id}', '/v1/notes/{note_id}/content'])
      expect(Object.keys(paths['/v1/notes']?.['post']?.requestBody?.content ?? {})).toEqual(['multipart/form-data'])
      expect(components.schemas).toMatchObject({
        Note: { type: 'object', properties: { words: {} } },
        ListNotesResponse: { properties: { data: { items: { $ref: '#/components/schemas/Note' } } } },
      })
    })
  })
}

test('[RES-6] the page shows this code', () => {
  const page = readFileSync(join(import.meta.dir, '../../../docs/adding-a-resource.md'), 'utf8')
  const shown = [...page.matchAll(/`test\/toys\/resource\/([\w-]+\.ts)`[^\n]*\n\n```ts\n([^]*?)```/g)]
  const files = readdirSync(import.meta.dir).filter((name) => !name.endsWith('.test.ts'))
  expect(shown.map(([, name = '']) => name).toSorted()).toEqual(files.toSorted())
  for (const [, name = '', text] of shown) {
    const [, ...code] = readFileSync(join(import.meta.dir, name), 'utf8').split(/(?<=^import [^\n]*\n)\n/m)
    expect(text).toBe(code.join('\n'))
  }
})
