<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class DnsLookupAnswer
{
    /**
     * @param string $name As it was asked for, in lower case and without a dot at its end.
     * @param bool $inZone Answered by this host; otherwise by the upstream.
     * @param string $rcode "NOERROR", "NXDOMAIN", "SERVFAIL" and so on.
     * @param int $ttl Seconds for which clients may keep the answer.
     * @param list<\Coolify\Coold\Data\DnsAnswer> $answers The addresses that are answered.
     * @param list<\Coolify\Coold\Data\DnsLeftOut> $leftOut Containers of the name that are not answered.
     * @param list<string> $names Of who has the address, where its reverse name (such as 5.0.210.10.in-addr.arpa) was
     * asked for.
     */
    public function __construct(
        public string $name,
        public bool $inZone,
        public string $rcode,
        public int $ttl,
        public array $answers,
        public array $leftOut,
        public array $names,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['name'] ?? '',
            $data['in_zone'] ?? false,
            $data['rcode'] ?? '',
            $data['ttl'] ?? 0,
            array_map(\Coolify\Coold\Data\DnsAnswer::from(...), $data['answers'] ?? []),
            array_map(\Coolify\Coold\Data\DnsLeftOut::from(...), $data['left_out'] ?? []),
            $data['names'] ?? [],
        );
    }
}
