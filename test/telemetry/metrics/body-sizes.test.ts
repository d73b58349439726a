import { expect, test } from 'bun:test'
import { chatReply, chatStream, errorReply } from '../../../src/testing/index.ts'
import { valuesOf } from './parse-text.ts'
import { hello, measured, readUntil } from './stage.ts'

const path = '/v1/chat/completions'
const of = (status: string) => ({
  http_request_method: 'POST',
  http_route: path,
  http_response_status_code: status,
  url_scheme: 'http',
})
const requests = 'http_server_request_body_size_bytes'
const responses = 'http_server_response_body_size_bytes'

test('[MET-2] bodies of requests and of model responses are measured in bytes, whole and streamed', async () => {
  let streams = false
  await using it = await measured(() => (streams ? chatStream() : chatReply()))
  const requestBody = { model: 'up/small', ...hello }
  const whole = await (await it.post(path, requestBody)).arrayBuffer()
  streams = true
  const asStream = { ...requestBody, stream: true }
  const streamed = await (await it.post(path, asStream)).arrayBuffer()
  const families = await readUntil(it, (now) => valuesOf(now, `${responses}_count`, of('200'))[0] === 2)
  expect(valuesOf(families, `${responses}_sum`, of('200'))).toEqual([whole.byteLength + streamed.byteLength])
  expect(valuesOf(families, `${requests}_count`, of('200'))).toEqual([2])
  expect(valuesOf(families, `${requests}_sum`, of('200'))).toEqual([JSON.stringify(requestBody).length + JSON.stringify(asStream).length])
  expect(families.get(requests)?.type).toBe('histogram')
})

test('[MET-2] what has no body, or no response of a model, adds no size; what failed is reported apart by its status', async () => {
  await using it = await measured(() => errorReply(500))
  await (await it.server.fetch('/v1/models')).text()
  const requestBody = { model: 'up/small', ...hello }
  const { status } = await it.post(path, requestBody)
  const families = await readUntil(it, (now) => valuesOf(now, `${requests}_count`).length > 0)
  expect(valuesOf(families, `${requests}_count`)).toEqual([1])
  expect(valuesOf(families, `${requests}_sum`, of(String(status)))).toEqual([JSON.stringify(requestBody).length])
  expect(valuesOf(families, `${responses}_count`)).toEqual([])
  expect(valuesOf(families, 'http_server_request_duration_seconds_count', { http_route: '/v1/models' })).toEqual([1])
})
