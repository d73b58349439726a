import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CleanFolder, folderBytes, runCommand, startServer } from './clean-folder.ts'

const root = new URL('../../', import.meta.url).pathname
const folder = new CleanFolder()
const modules = join(folder.path, 'node_modules')
const env = { ...process.env, CORRAL_HOME: join(folder.path, 'home'), CORRAL_PORT: '0' }
const quiet = ['--no-audit', '--no-fund']

describe('the packed package', () => {
  beforeAll(async () => {
    const packed = await runCommand('npm', ['pack', '--silent', '--pack-destination', folder.path], { cwd: root })
    expect(packed).toMatchObject({ code: 0 })
    const tarball = readdirSync(folder.path).find((name) => name.endsWith('.tgz')) ?? ''
    writeFileSync(join(folder.path, 'package.json'), '{"private":true}')
    const installed = await runCommand('npm', ['install', `./${tarball}`, ...quiet], { cwd: folder.path })
    expect(installed).toMatchObject({ code: 0 })
  }, 600_000)
  afterAll(() => folder[Symbol.dispose]())

  test('[DOC-1] installs no GPU build, and less than 280 MB', () => {
    const builds = readdirSync(join(modules, '@node-llama-cpp'))
    expect(builds.length).toBeGreaterThan(0)
    expect(builds.filter((name) => /cuda|vulkan/.test(name))).toEqual([])
    expect(folderBytes(modules)).toBeLessThan(280_000_000)
  })

  test('holds neither tests nor what only this repository needs', () => {
    const files = readdirSync(join(modules, 'corral'), { recursive: true, encoding: 'utf8' })
    expect(files).toContain(join('bin', 'corral.js'))
    expect(files.filter((name) => /\.test\.ts$|^(test|bench|install|docs)\b/.test(name))).toEqual([])
  })

  test('[DOC-1] npx corral --version', async () => {
    const result = await runCommand('npx', ['--offline', 'corral', '--version'], { cwd: folder.path, env })
    expect(result).toMatchObject({ code: 0, output: expect.stringMatching(/^corral \d+\.\d+\.\d+\n$/) })
  }, 60_000)

  test('[DOC-1] npx corral run starter serves, with the embedded model among its models', async () => {
    const server = await startServer('npx', ['--offline', 'corral', 'run', 'starter'], { cwd: folder.path, env })
    try {
      const response = await fetch(`${server.url}/v1/models`)
      expect(response.status).toBe(200)
      const { data } = (await response.json()) as { data: { id: string }[] }
      expect(data.map(({ id }) => id)).toContain('llama-cpp/default')
    } finally {
      await server.stop()
    }
  }, 60_000)

  test('node-llama-cpp finds its build for this machine', async () => {
    const script =
      "const { getLlama } = await import('node-llama-cpp'); console.log((await getLlama({ build: 'never', logLevel: 'error' })).gpu)"
    const bun = join(modules, 'corral/bin/bun.js')
    const result = await runCommand('node', [bun, '-e', script], { cwd: folder.path, env })
    expect(result).toMatchObject({ code: 0, output: expect.stringMatching(/^(false|metal)\n$/) })
  }, 60_000)
})
