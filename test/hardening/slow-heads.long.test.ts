import { connect } from 'node:net'
import { expect, test } from 'bun:test'
import { testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

/** A connection that sends one header line every half second and never the end; resolves with the response once the server closes it. */
function drip(server: TestServer, first: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  const pieces: string[] = []
  socket.write(first)
  socket.on('error', () => undefined).on('data', (piece) => pieces.push(String(piece)))
  const timer = setInterval(() => first !== '' && socket.write('x-a: a\r\n'), 500)
  return new Promise((resolve) =>
    socket.once('close', () => {
      clearInterval(timer)
      resolve(pieces.join(''))
    }),
  )
}

// The listener gives up after some ten seconds, which cannot be made shorter for a test: hence a file of its own, which runs beside the others.
test('[HRD-2] a head that never ends is timed out, at any pace, and so is a silent connection', async () => {
  await using server = await testServer(testConfig())
  const half = 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n'
  expect(await Promise.all([drip(server, half), drip(server, `${half}x-b: `), drip(server, '')])).toEqual(['', '', ''])
  expect(server.app.activeRequests).toBe(0)
}, 60_000)
