import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import { Secret } from '../../src/secret.ts'
import type { BuildOptions } from '../../src/services.ts'
import { engines, type TestEngine } from '../../src/testing/engines.ts'
import { chatReply, mockUpstream, modelsReply, testApp, testConfig, upstreamProvider, type TestApp } from '../../src/testing/index.ts'
import { known } from '../pipeline/servers.ts'
import type { TenantRequest, TenantResource } from './resources.ts'

const people = { alice: { attributes: { teams: ['a'], roles: ['user'] } }, bob: { attributes: { teams: ['b'], plants: ['user'] } } }
type Person = keyof typeof people

interface Tenants extends AsyncDisposable {
  ask(who: Person, request: TenantRequest): Promise<{ status: number; text: string; headers: string }>
}

/** What a resource that is not among the server's own brings with it. */
interface TenantTestOptions {
  readonly build?: BuildOptions
}

async function startTenants(engine: TestEngine, rules: readonly AccessRule[], { build }: TenantTestOptions): Promise<Tenants> {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await mockUpstream())
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['small']) : chatReply()))
  const home = await mkdtemp(join(tmpdir(), 'corral-tenants-'))
  parts.defer(() => rm(home, { recursive: true, force: true }))
  const { backend } = parts.use(await engine.fresh())
  const config = testConfig({
    providers: [upstreamProvider('up', upstream.url, { key: 'k' })],
    auth: { authenticators: [{ type: 'known' }] } as never,
    accessPolicy: compileAccessPolicy([...rules]),
    storage: { backends: {}, records: backend, recordsConfigured: true },
    keyPepper: new Secret('the pepper of this test'),
    home,
  })
  const app: TestApp = parts.use(await testApp(config, { authentication: known(people), ...build }))
  while (app.services.models.awaited.length > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  return {
    async ask(who, { method, path, body }) {
      const response = await app.fetch(path, {
        method,
        headers: {
          authorization: `Bearer ${who}`,
          'x-request-id': 'the-same',
          traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
          ...(body !== undefined && !(body instanceof FormData) && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: body instanceof FormData ? body : JSON.stringify(body) }),
      })
      return {
        status: response.status,
        text: await response.text(),
        headers: [...response.headers]
          .map(([name, value]) => JSON.stringify([name, value]))
          .toSorted()
          .join(),
      }
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** All of a response that must not distinguish ids: without ids, tokens, times and lengths. */
function comparable({ status, text, headers }: { status: number; text: string; headers: string }, ...ids: string[]): string {
  let plain = `${status} ${text} ${headers.replaceAll(/\["content-length","\d+"\],?/g, '')}`
  for (const id of ids) plain = plain.replaceAll(id, 'ID')
  return plain.replaceAll(/"(created|created_at)":\d+/g, '"$1":TIME').replaceAll(/(key|crl)_[\w…-]+/g, '$1')
}

/** What holds of every resource that tenants own, on every engine and under each of its policies. */
export function testTenants(table: string, resource: TenantResource, options: TenantTestOptions = {}): void {
  const tenants = (engine: TestEngine, rules: readonly AccessRule[]) => startTenants(engine, rules, options)
  for (const engine of engines) {
    for (const [name, rules] of Object.entries(resource.policies)) {
      describe(`${table} on ${engine.name} under ${name}`, () => {
        let server: Tenants
        let hers: string
        let asMade: string
        beforeAll(async () => {
          server = await tenants(engine, rules)
          const made = await server.ask('alice', resource.create('secret'))
          expect(made.status).toBe(200)
          hers = resource.idOf(JSON.parse(made.text) as Record<string, unknown>)
          asMade = (await server.ask('alice', resource.verbs['get']!(hers))).text
        })
        afterAll(() => server[Symbol.asyncDispose]())

        for (const [verb, request] of Object.entries(resource.verbs)) {
          test(`[TEN-1] Bob cannot ${verb} Alice’s, nor tell it from what is not there`, async () => {
            const absent = resource.absentId(hers)
            expect(absent).not.toBe(hers)
            const [onHers, onNothing] = [await server.ask('bob', request(hers)), await server.ask('bob', request(absent))]
            expect(comparable(onHers, hers)).toBe(comparable(onNothing, absent))
            expect(onHers.text).not.toContain('alice')
            // Alice's is as it was.
            expect((await server.ask('alice', resource.verbs['get']!(hers))).text).toBe(asMade)
            if (verb.startsWith('list')) expect(JSON.parse(onHers.text)).toMatchObject({ data: [] })
            else expect(onHers.status).toBe(404)
          })
        }

        test('[TEN-1] Bob’s list does not show Alice’s, and hers does', async () => {
          const [bobs, alices] = [await server.ask('bob', resource.list), await server.ask('alice', resource.list)]
          expect([bobs.status, alices.status]).toEqual([200, 200])
          expect(bobs.text).not.toContain(hers)
          expect(bobs.text).not.toContain('secret')
          expect(alices.text).toContain(hers)
          await using empty = await tenants(engine, rules)
          expect(comparable(bobs)).toBe(comparable(await empty.ask('bob', resource.list)))
        })

        test('[TEN-1] Bob making one of the same name learns nothing, and changes nothing of hers', async () => {
          const [same, fresh] = [await server.ask('bob', resource.create('secret')), await server.ask('bob', resource.create('public'))]
          expect(same.status).toBe(200)
          const [sameId, freshId] = [same, fresh].map(({ text }) => resource.idOf(JSON.parse(text) as Record<string, unknown>))
          expect(comparable(same, sameId!, 'secret')).toBe(comparable(fresh, freshId!, 'public'))
          expect((await server.ask('alice', resource.verbs['get']!(hers))).text).toBe(asMade)
          const list = (await server.ask('alice', resource.list)).text
          expect(list).not.toContain('public')
          // What Bob deletes is his own.
          const remove = resource.verbs['delete'] ?? resource.verbs['revoke']!
          expect((await server.ask('bob', remove(sameId!))).status).toBe(200)
          expect((await server.ask('alice', resource.verbs['get']!(hers))).text).toBe(asMade)
        })
      })
    }
  }
}
