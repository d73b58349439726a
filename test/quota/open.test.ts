import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'
import {
  chatReply,
  mockUpstream,
  type MockUpstream,
  testConfig,
  testServer,
  type TestServer,
  upstreamProvider,
} from '../../src/testing/index.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { createSplitStore } from '../../src/quota/split-store.ts'
import type { BuildOptions } from '../../src/services.ts'
import { limitsOf } from './quota-server.ts'

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function upstream(): Promise<MockUpstream> {
  const mock = await mockUpstream()
  open.push(async () => {
    await mock[Symbol.asyncDispose]()
  })
  mock.respond(() => chatReply())
  return mock
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'corral-quota-'))
  open.push(async () => {
    await rm(path, { recursive: true, force: true })
  })
  return path
}

function server(mock: MockUpstream, quota: object, path: string, { workers = 1, ...build }: BuildOptions & { workers?: number } = {}) {
  const config = testConfig({ providers: [upstreamProvider('up', mock.url, { key: 'k' })], server: { workers } })
  return testServer(
    {
      ...config,
      quota: toQuotaConfig(quotaSchema.parse(quota)),
      storage: { ...config.storage, records: { engine: 'sqlite', path } },
    },
    build,
  )
}

const left = async (on: TestServer): Promise<string | undefined> => limitsOf(await on.fetch('/v1/models'))['remaining-requests']

describe('where counts are kept without a configured store', () => {
  test('[QUO-60] those of a day and longer outlive the process', async () => {
    const [mock, path] = [await upstream(), join(await folder(), 'corral.db')]
    for (const period of ['day', 'week', 'month']) {
      const quota = { anonymous_max_requests: 5, period }
      const first = await server(mock, quota, path)
      expect([await left(first), await left(first)]).toEqual(['4', '3'])
      await first[Symbol.asyncDispose]()
      const second = await server(mock, quota, path)
      expect([await left(second), await left(second), await left(second), (await second.fetch('/v1/models')).status]).toEqual([
        '2',
        '1',
        '0',
        429,
      ])
      await second[Symbol.asyncDispose]()
    }
  })

  test('[QUO-60] several processes share all of them', async () => {
    const [mock, path] = [await upstream(), join(await folder(), 'corral.db')]
    const quota = { anonymous_max_requests: 20, period: 'hour' }
    const both = await Promise.all([server(mock, quota, path, { workers: 2 }), server(mock, quota, path, { workers: 2 })])
    const replies = await Promise.all(Array.from({ length: 60 }, (_, at) => both[at % 2]!.fetch('/v1/models')))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(20)
    for (const one of both) await one[Symbol.asyncDispose]()
  })

  test('short windows and running requests go one way, long windows the other', async () => {
    const asked: string[] = []
    const named = (name: string) => {
      const store = createMemoryStore({ shared: true })
      return {
        ...store,
        exchange: (request: Parameters<typeof store.exchange>[0]) => (asked.push(name), store.exchange(request)),
        hold: (request: Parameters<typeof store.hold>[0]) => (asked.push(`${name} hold`), store.hold(request)),
      }
    }
    const split = createSplitStore(named('passing'), named('keeping'))
    const now = Date.now()
    for (const length of [1000, 3_600_000, 86_400_000, 2_678_400_000]) {
      await split.exchange({
        counter: 'c',
        window: { start: now, end: now + length },
        limit: 1,
        returned: 0,
        owed: 0,
        atLeast: 1,
        wanted: 1,
        leased: 0,
      })
    }
    await split.hold({ counter: 'c', holder: 'h', limit: 1, keep: 0, atLeast: 1, slots: 1, ttl: 1000, sequence: 1 })
    expect(asked).toEqual(['passing', 'passing', 'keeping', 'keeping', 'passing hold'])
  })
})
