import { describe, expect, test } from 'bun:test'
import { errorReply } from '../../src/testing/index.ts'
import { operations, operatorKey, remoteCases, sharedStage, stageFor } from './remote-cases.ts'

interface ErrorCase {
  status: number
  message: string
  code: string | null
  type: string
  headers: Record<string, string>
}

/** What the mock says with each status, as OpenAI's own server would. */
const errorCases: readonly ErrorCase[] = [
  { status: 401, message: 'Invalid API Key', code: 'invalid_api_key', type: 'invalid_request_error', headers: {} },
  { status: 403, message: 'This key may not do that', code: 'forbidden', type: 'permission_error', headers: {} },
  { status: 404, message: 'The model does not exist', code: 'model_not_found', type: 'invalid_request_error', headers: {} },
  { status: 429, message: 'Rate limit reached', code: 'rate_limit_exceeded', type: 'requests', headers: { 'retry-after': '7' } },
  { status: 500, message: 'The engine is broken', code: null, type: 'server_error', headers: {} },
  { status: 503, message: 'Overloaded, try later', code: null, type: 'overloaded', headers: { 'retry-after': '3' } },
]

describe.each(remoteCases.map((remoteCase) => [remoteCase.type, remoteCase] as const))('%s', (_, remoteCase) => {
  const stage = sharedStage(() => stageFor(remoteCase, { [remoteCase.keyField]: operatorKey }))
  const model = `${remoteCase.id}/some-model`

  for (const [name, { capability, path, body }] of Object.entries(operations)) {
    if (!remoteCase.can.has(capability)) {
      test(`${name}: 400 that names the capability it lacks`, async () => {
        const response = await stage().post(path, { model, ...body })
        expect(response.status).toBe(400)
        const { error } = (await response.json()) as { error: { message: string; type: string } }
        expect(error.type).toBe('invalid_request_error')
        expect(error.message).toContain(capability)
      })
      continue
    }

    for (const { status, message, code, type, headers } of errorCases) {
      test(`[ERR-1] [ERR-2] ${name}: its ${status} arrives as ${status} with its message`, async () => {
        stage().reply = errorReply(status, { error: { message, type, code, param: null } }, headers)
        const response = await stage().post(path, { model, ...body })
        expect(response.status).toBe(status)
        expect(response.headers.get('x-corral-error-source')).toBe('provider')
        expect(response.headers.get('content-type')).toStartWith('application/json')
        expect(response.headers.get('retry-after')).toBe(headers['retry-after'] ?? null)
        const { error } = (await response.json()) as { error: Record<string, unknown> }
        expect(error).toMatchObject({ message, type, code, provider: { id: remoteCase.id, status } })
        expect(stage().requests.at(-1)?.path).toStartWith(remoteCase.arrivesAt)
      })
    }
  }
})
