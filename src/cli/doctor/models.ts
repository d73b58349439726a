import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { catalogueModel } from '../../providers/inference/llama-cpp/catalogue.ts'
import type { LlamaCppConfig } from '../../providers/inference/llama-cpp/config.ts'
import { listLocalModels, type LocalModel } from '../../providers/inference/llama-cpp/store/store.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, warning } from './check.ts'
import { embeddedType } from './providers.ts'

/** Larger files are judged by their size: reading them takes seconds. Bytes. */
const maxHashedSize = 400_000_000

/** Whether the embedded model is present and intact. */
export const modelFiles: DoctorCheck = {
  name: 'model files',
  async find({ loaded }) {
    const entries = loaded.config.providers.filter(({ type }) => type === embeddedType)
    return (await Promise.all(entries.map((entry) => checkFolder(entry.id, entry.config as LlamaCppConfig)))).flat()
  },
}

async function checkFolder(id: string, { modelsDir, model, autoPull }: LlamaCppConfig): Promise<DoctorFinding[]> {
  const found = await listLocalModels(modelsDir)
  const findings = await Promise.all(found.map(checkFile))
  if (model !== undefined && !found.some(({ name }) => name === model)) {
    findings.push(failed(`provider ${id}`, `model '${model}' not found in ${modelsDir}`, `Run \`corral models pull ${model}\`.`))
  } else if (found.length === 0) {
    const remedy = 'Run `corral models pull`.'
    const later = autoPull === false ? '' : '; the server may download one when it starts'
    findings.push(warning(`provider ${id}`, `no model in ${modelsDir} yet${later}`, remedy))
  }
  return findings
}

async function checkFile({ name, path, size, sha256 }: LocalModel): Promise<DoctorFinding> {
  const subject = `model ${name}`
  const broken = (what: string) =>
    failed(subject, `${path} ${what}`, `Run \`corral models remove ${name}\`, then \`corral models pull ${name}\`.`)
  const known = catalogueModel(name)
  if (known && sha256 === known.sha256 && size !== known.size) return broken(`is corrupt: it has ${size} bytes, expected ${known.size}`)
  if (sha256 === undefined) return ok(subject, 'present; no recorded hash to compare with')
  if (size > maxHashedSize) return ok(subject, 'present; too large to verify here')
  return (await hashOf(path)) === sha256 ? ok(subject, 'intact') : broken('is corrupt: its hash differs from the downloaded one')
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array)
  return hash.digest('hex')
}
