import { expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { smallDisk, wayToMount } from '../whole/small-disk.ts'

const way = wayToMount()

interface UploadServer extends AsyncDisposable {
  readonly pid: number
  readonly url: string
}

/** @param within what goes before the command; @param folder where files are written meanwhile */
async function uploadServer(within: readonly string[] = [], folder = '/tmp'): Promise<UploadServer> {
  const command = [...within, process.execPath, join(import.meta.dir, 'upload-server.ts')]
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: folder } })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${String(port).trim()}/v1/files`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    },
  }
}

const piece = new Uint8Array(65_536).fill(120)

/** A form with one file of so many pieces, made as it is sent. */
async function upload(url: string, pieces: number): Promise<Response> {
  const encoder = new TextEncoder()
  let sent = -1
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1
      if (sent === 0) controller.enqueue(encoder.encode('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'))
      else if (sent <= pieces) controller.enqueue(piece)
      else {
        controller.enqueue(encoder.encode('\r\n--b--\r\n'))
        controller.close()
      }
    },
  })
  return await fetch(url, { method: 'POST', body, headers: { 'content-type': 'multipart/form-data; boundary=b' } })
}

/** The most memory that a process has had, in MB. */
function peakMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

test.skipIf(process.platform !== 'linux')(
  '[MPT-7] memory does not grow with the file: 1 GB takes no more than 64 MB over 128 MB',
  async () => {
    await using server = await uploadServer()
    await (await upload(server.url, 2048)).json()
    const before = peakMemory(server.pid)
    const pieces = 16_384
    const hash = createHash('sha256')
    for (let n = 0; n < pieces; n++) hash.update(piece)
    expect(await (await upload(server.url, pieces)).json()).toEqual({ size: pieces * piece.length, sha256: hash.digest('hex') })
    expect(peakMemory(server.pid) - before).toBeLessThan(64)
  },
  300_000,
)

test.skipIf(way === undefined)(
  '[MPT-8] a full disk is a 503, and what was written is deleted',
  async () => {
    using disk = smallDisk(way ?? [], { megabytes: 4 })
    await using server = await uploadServer(disk.within, disk.path)
    const response = await upload(server.url, 160)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ error: { code: 'upload_storage_full' } })
    expect(response.headers.get('retry-after')).toBe('60')
    expect(readdirSync(join(`/proc/${server.pid}/root`, disk.path))).toEqual([])
    expect((await upload(server.url, 16)).status).toBe(200)
  },
  60_000,
)
