-- What probes and transitions of names say since the DNS monitor has several vantages.
ALTER TABLE dns_probes
    -- The receiver's verdict on `at`: an agent's clock may be wrong, and its spool may be hours old. Such a probe decides nothing.
    ADD COLUMN IF NOT EXISTS arrival Enum8('in_time' = 0, 'late' = 1, 'early' = 2) CODEC(ZSTD(1)) AFTER packets_sent,
    -- What of the answer broke the user's assertion, or what validation found, in words.
    ADD COLUMN IF NOT EXISTS detail String CODEC(ZSTD(1)) AFTER arrival;

ALTER TABLE transitions
    -- Of a name: until then some caches still hide the failure from users.
    ADD COLUMN IF NOT EXISTS masked_until Nullable(DateTime64(6, 'UTC')) AFTER share,
    -- Of a name: what each vantage and each cache says, as JSON; empty where nothing is said.
    -- JSONExtractArrayRaw(dns, 'vantages')
    ADD COLUMN IF NOT EXISTS dns String CODEC(ZSTD(1)) AFTER masked_until;
