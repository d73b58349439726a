import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'bun:test'
import { sendOtlp } from '../../../src/telemetry/worker/otlp-sender.ts'

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\n\x0a'

/** A collector that responds to a request's first bytes as configured. */
async function collectorThat(response: (socket: Socket) => void) {
  let requestBody = 0
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => {
      requestBody += 1
      response(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    requestBody: () => requestBody,
    [Symbol.dispose]: () => void server.close(),
  }
}

test.each<[string, (socket: Socket) => void]>([
  ['stalls', (socket) => void socket.write(head)],
  ['breaks off', (socket) => void socket.end(head)],
])('[TRC-6] what a collector took with 200 is sent, though the body of its response %s', async (_, response) => {
  using collector = await collectorThat(response)
  const result = await sendOtlp({ url: collector.url, headers: {}, timeout: 500, compression: 'none' }, new Uint8Array([1]))
  expect([result, collector.requestBody()]).toEqual([{ kind: 'sent', partial: undefined }, 1])
})

test('[TRC-6] a response that ends within its head is retried', async () => {
  using collector = await collectorThat((socket) => void socket.end('HTTP/1.1 200 OK\r\n'))
  const result = await sendOtlp({ url: collector.url, headers: {}, timeout: 500, compression: 'none' }, new Uint8Array([1]))
  expect(result.kind).toBe('retry')
})
