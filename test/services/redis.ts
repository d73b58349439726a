import { mkdtempSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, startService, untilReady } from './service.ts'

interface RedisService extends AsyncDisposable {
  /** `redis://127.0.0.1:port`. */
  readonly url: string
}

/** Starts a Redis of its own, which keeps nothing on disk. */
export async function startRedis(program: string): Promise<RedisService> {
  const folder = mkdtempSync(join(tmpdir(), 'corral-redis-'))
  const port = await freePort()
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no']
  const service = startService({ command: [program, ...settings], stop: 'TERM', folder })
  await untilReady('Redis', service, () => ping(port))
  return { url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() }
}

function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.once('error', reject)
    socket.once('data', (reply) => {
      socket.end()
      if (reply.toString().startsWith('+PONG')) resolve()
      else reject(new Error(reply.toString()))
    })
  })
}
