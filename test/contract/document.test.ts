import { afterAll, beforeAll, expect, test } from 'bun:test'
import Ajv2020 from 'ajv/dist/2020.js'
import { routes } from '../../src/api/index.ts'
import { testApp, testConfig, type TestApp } from '../../src/testing/index.ts'
import type { OpenApiDocument } from './published.ts'

let server: TestApp
let document: OpenApiDocument
const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false })

beforeAll(async () => {
  server = await testApp(testConfig({}))
  document = (await (await server.fetch('/openapi.json')).json()) as OpenApiDocument
  ajv.addSchema({ ...document, $id: 'ours' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Values at the edges of what a schema may take. */
const edges = ['', 'x', 0, 1, -1, 0.5, 129, 1e20, true, null, [], [''], ['x'], [0], [0.5], [[]], [[1]], [{}], {}, { x: 'y' }, { type: 'x' }]

/** Bodies that pass, to change a field of. */
const sound: Readonly<Record<string, Record<string, unknown>>> = {
  '/v1/chat/completions': { model: 'p/m', messages: [{ role: 'user', content: 'x' }] },
  '/v1/completions': { model: 'p/m', prompt: 'x' },
  '/v1/embeddings': { model: 'p/m', input: 'x' },
  '/v1/rerank': { model: 'p/m', query: 'x', documents: ['x'] },
  '/v1alpha/inference/rerank': { model: 'p/m', query: 'x', items: ['x'] },
  '/v1/models': { model_id: 'x' },
  '/v1alpha/admin/keys': { name: 'x' },
  '/v1alpha/admin/keys/{key_id}/rotate': { grace_seconds: 1 },
  '/v1alpha/telemetry/traces': { limit: 1 },
  '/v1alpha/telemetry/spans': { attribute_filters: [], attributes_to_return: [] },
  '/v1alpha/telemetry/spans/{span_id}/tree': { max_depth: 1 },
  '/v1alpha/telemetry/metrics/{metric_name}': { start_time: 1, query_type: 'instant' },
  '/v1/telemetry/events': {
    event: { type: 'metric', trace_id: 'a', span_id: 'b', timestamp: '2027-01-31T12:00:00Z', metric: 'x', value: 1, unit: '1' },
    ttl_seconds: 1,
  },
}

/** What is found out after the body was held to its schema. Elsewhere: there is no such model. */
const refusals: Readonly<Record<string, string>> = {
  '/v1/models': 'provider_not_found',
  '/v1alpha/admin/keys': 'authentication_required',
  '/v1alpha/admin/keys/{key_id}/rotate': 'authentication_required',
  '/v1alpha/telemetry/traces': 'no_trace_store',
  '/v1alpha/telemetry/spans': 'no_trace_store',
  '/v1alpha/telemetry/spans/{span_id}/tree': 'no_trace_store',
  '/v1alpha/telemetry/metrics/{metric_name}': 'no_trace_store',
  '/v1/telemetry/events': 'no_trace_store',
}

for (const { path } of routes.filter(({ body, method }) => body && method === 'POST')) {
  test(`what /openapi.json says ${path} takes, it takes`, async () => {
    const { post } = document.paths[path] as { post: { requestBody: { content: { 'application/json': { schema: { $ref: string } } } } } }
    const { $ref } = post.requestBody.content['application/json'].schema
    const documented = ajv.compile({ $ref: `ours${$ref}` })
    const fields = fieldsOf({ $ref })
    expect(fields.length).toBeGreaterThan(0)
    const whole = sound[path]
    expect(documented(whole)).toBe(true)
    for (const field of fields) {
      for (const value of edges) {
        const body = { ...whole, [field]: value }
        if (!documented(body)) continue
        const response = await server.fetch(path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        const json: unknown = await response.json()
        expect({ field, value, json }).toMatchObject({ json: { error: { code: refusals[path] ?? 'model_not_found' } } })
      }
    }
  })
}

/** The fields of an object's schema, those that it has by `allOf` included. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties = {}, allOf = [], $ref } = schema as { properties?: object; allOf?: unknown[]; $ref?: string }
  const named = $ref && document.components.schemas[$ref.split('/').at(-1) ?? '']
  return [...Object.keys(properties), ...allOf.flatMap(fieldsOf), ...(named ? fieldsOf(named) : [])]
}
