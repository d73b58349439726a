import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { inProcess } from '../cli/corral.ts'
import { sharedFolder } from './published.ts'

const folder = join(sharedFolder() ?? '', 'failing-inputs')
const files = existsSync(folder) ? readdirSync(folder).toSorted() : []
const root = new URL('../..', import.meta.url).pathname

/** Small reproductions of public bug reports: configuration files that must be valid, and programs that exit with 0 once the fault is fixed. */
describe('reproductions of public bug reports', () => {
  for (const name of files.filter((file) => file.endsWith('.yaml'))) {
    test(`${name} is a valid configuration`, async () => {
      const { code, stderr } = await inProcess(['config', 'validate', join(folder, name)])
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    })
  }

  for (const name of files.filter((file) => file.endsWith('.mjs') && !file.startsWith('00-'))) {
    test(`${name} exits with 0`, async () => {
      expect(await run(join(folder, name))).toEqual({ code: 0, output: expect.any(String) })
    })
  }
})

/** Runs one program against this checkout; the program starts an upstream and a Corral process of its own. */
async function run(file: string): Promise<{ code: number | null; output: string }> {
  const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', CORRAL_DIR: root }
  const child = spawn('node', [file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, output }
}
