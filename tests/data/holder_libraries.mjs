// Records what holder libraries in use answer to this door's requests, into holder_libraries.json beside this file:
//
//   npm install @animo-id/mdoc@0.5.2 @auth0/mdl@3.0.1
//   node holder_libraries.mjs holder_libraries.json
//
// The file brings the session, the keys and the requests, and gets the answers. Each library issues a driving licence to
// itself and is asked, in one session, for what the profile of China asks for. Node 20.
import { createRequire } from 'node:module'
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const file = process.argv[2]
const given = JSON.parse(fs.readFileSync(file, 'utf8'))
const require = createRequire(path.join(process.cwd(), 'any.js'))
const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (data) => Buffer.from(data).toString('hex')
const digest = (data) => crypto.createHash('sha256').update(data).digest()
const publicOf = ({ d, ...rest }) => rest
const sign = (jwk, data) =>
  new Uint8Array(crypto.sign('sha256', data, { key: crypto.createPrivateKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }))

// What the first of the libraries wants to be given.
const context = {
  crypto: {
    digest: async ({ bytes }) => new Uint8Array(digest(bytes)),
    random: (length) => new Uint8Array(crypto.randomBytes(length)),
  },
  cose: { sign1: { sign: async ({ jwk, sign1 }) => sign(jwk, sign1.getRawSigningData().data) } },
  x509: {
    getIssuerNameField: () => ['SE'],
    getCertificateData: async ({ certificate }) => {
      const parsed = new crypto.X509Certificate(certificate)
      return { issuerName: parsed.issuer, subjectName: parsed.subject, notBefore: new Date(parsed.validFrom), notAfter: new Date(parsed.validTo) }
    },
  },
}

const pem = new crypto.X509Certificate(Buffer.from(given.signer_certificate, 'hex')).toString()
const validity = { signed: new Date('2020-01-02'), validFrom: new Date('2020-01-02'), validUntil: new Date('2049-01-02') }

async function issued(L, ...more) {
  return new L.Document(given.doc_type, ...more)
    .addIssuerNameSpace(given.name_space, given.elements)
    .useDigestAlgorithm('SHA-256')
    .addValidityInfo(validity)
    .addDeviceKeyInfo({ deviceKey: publicOf(given.device_key) })
    .sign({ issuerPrivateKey: given.signer_key, issuerCertificate: pem, alg: 'ES256' }, ...more)
}

async function byDeviceRequest(L, request) {
  const response = await L.DeviceResponse.from(new L.MDoc([await issued(L, context)]))
    .usingDeviceRequest(L.DeviceRequest.parse(bytes(request.device_request)))
    .usingSessionTranscriptBytes(bytes(given.session_transcript_bytes))
    .authenticateWithSignature(given.device_key, 'ES256')
    .sign(context)
  return hex(response.encode())
}

// This one has no DeviceRequest: an app makes a presentation definition of it.
async function byDefinition(L, request) {
  const wanted = Object.entries(request.items).map(([id, nameSpaces]) => ({
    id,
    format: { mso_mdoc: { alg: ['ES256'] } },
    constraints: {
      limit_disclosure: 'required',
      fields: Object.entries(nameSpaces).flatMap(([space, names]) =>
        names.map((name) => ({ path: [`$['${space}']['${name}']`], intent_to_retain: true })),
      ),
    },
  }))
  const response = await L.DeviceResponse.from(new L.MDoc([await issued(L)]))
    .usingPresentationDefinition({ id: 'door', input_descriptors: wanted })
    .usingSessionTranscriptBytes(Buffer.from(bytes(given.session_transcript_bytes)))
    .authenticateWithSignature(given.device_key, 'ES256')
    .sign()
  return hex(response.encode())
}

const libraries = [
  ['@animo-id/mdoc', byDeviceRequest],
  ['@auth0/mdl', byDefinition],
]
given.libraries = {}
for (const [name, answer] of libraries) {
  const L = require(name)
  const version = JSON.parse(fs.readFileSync(path.join('node_modules', name, 'package.json'), 'utf8')).version
  const answers = []
  for (const request of given.requests) {
    try {
      answers.push({ doc_types: request.doc_types, response: await answer(L, request) })
    } catch (error) {
      answers.push({ doc_types: request.doc_types, throws: error.message })
    }
  }
  given.libraries[`${name} ${version}`] = answers
}
fs.writeFileSync(file, JSON.stringify(given, null, 1) + '\n')
