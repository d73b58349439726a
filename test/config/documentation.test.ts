import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { fileSchema, providerEntrySchema, registeredModelSchema, registeredResourcesSchema } from '../../src/config/schema.ts'
import { accessRuleSchema, routeRuleSchema } from '../../src/access/schema.ts'
import { authenticatorSchema } from '../../src/auth/schema.ts'
import { authSectionSchema } from '../../src/config/schema-auth.ts'
import { auditSchema, corsSchema, serverSchema } from '../../src/config/schema-server.ts'
import { backendSchema, storageSchema } from '../../src/config/schema-storage.ts'
import { metricsSchema, otlpSchema, telemetrySchema, traceStoreSchema, tracesSchema } from '../../src/config/schema-telemetry.ts'
import { egressSchema } from '../../src/egress/schema.ts'
import { limitSchema, quotaSchema } from '../../src/quota/schema.ts'
import { load } from './loading.ts'

const text = readFileSync(join(import.meta.dir, '../../docs/configuration.md'), 'utf8')

const schemas = [
  fileSchema,
  serverSchema,
  corsSchema,
  auditSchema,
  egressSchema,
  authSectionSchema,
  accessRuleSchema,
  routeRuleSchema,
  quotaSchema,
  limitSchema,
  storageSchema,
  telemetrySchema,
  otlpSchema,
  tracesSchema,
  traceStoreSchema,
  metricsSchema,
  ...authenticatorSchema.options,
  ...backendSchema.options,
  providerEntrySchema,
  registeredModelSchema,
  registeredResourcesSchema,
]
/** Llama Stack's, without effect here. */
const unexplained = ['pool_pre_ping', 'pool_recycle', 'max_overflow', 'collection_name', 'table_name', 'namespace']

test('docs/configuration.md names every key', () => {
  const keys = schemas.flatMap((schema) => Object.keys(schema.shape))
  const missing = keys.filter((key) => !text.includes(`\`${key}\``) && !unexplained.includes(key))
  expect([...new Set(missing)]).toEqual([])
})

test('docs/configuration.md has the defaults of the server', async () => {
  const { server } = (await load('providers: {}')).config
  const defaults = {
    port: server.port,
    workers: server.workers,
    registry_refresh_interval_seconds: server.registryRefreshInterval,
    max_request_body_bytes: server.maxBodyBytes,
    upload_idle_timeout_seconds: server.uploadIdleTimeout,
    stream_head_timeout_seconds: server.streamHeadTimeout,
    heartbeat_interval_seconds: server.heartbeatInterval,
    max_stream_seconds: server.maxStreamSeconds,
    max_json_members: server.maxJsonMembers,
    max_buffered_body_bytes: server.maxBufferedBodyBytes,
    max_running_requests: server.maxRunningRequests,
    drain_timeout_seconds: server.drainTimeout,
    drain_grace_seconds: server.drainGrace,
  }
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  const documented = Object.entries(defaults).filter(([key, value]) =>
    rows.some((row) => row.startsWith(`| \`${key}\` |`) && row.includes(`, ${value} |`)),
  )
  expect(Object.fromEntries(documented)).toEqual(defaults)
})

test('its example is a configuration', async () => {
  const [example = '', ...sections] = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml]) => yaml ?? '')
  for (const section of sections) expect((await load(`providers: {}\n${section}`)).config.server.port).toBe(8321)
  expect(sections).toHaveLength(2)
  expect(parse(example)).toMatchObject({ version: 2 })
  const { config, warnings } = await load(example, { definitions: undefined, planned: undefined })
  expect([config.providers.map((one) => one.id), warnings]).toEqual([['groq'], []])
})
