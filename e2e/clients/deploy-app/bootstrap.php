<?php
// A small application in the shape of Laravel: its queue in a database, its container, and the client of coold bound in it. It
// uses Debian's illuminate packages.
declare(strict_types=1);

// Debian 12 has a Laravel that is older than its PHP.
error_reporting(E_ALL & ~E_DEPRECATED);
foreach (['Support', 'Container', 'Database', 'Events', 'Queue'] as $part) {
    require "/usr/share/php/Illuminate/$part/autoload.php";
}
require dirname(__DIR__, 3) . '/clients/php/autoload.php';
require __DIR__ . '/Deployments.php';
require __DIR__ . '/DeployWeb.php';

use Coolify\Coold\Client;
use Illuminate\Container\Container;
use Illuminate\Database\Capsule\Manager as Database;
use Illuminate\Events\Dispatcher;
use Illuminate\Queue\Capsule\Manager as Queue;
use Illuminate\Queue\Connectors\DatabaseConnector;

/** @return array{0: Container, 1: Queue, 2: Database} */
function application(string $socket, string $file): array
{
    $app = new Container();
    Container::setInstance($app);
    $app->instance(Client::class, Client::at($socket));
    $app->instance('events', new Dispatcher($app));

    $database = new Database($app);
    $database->addConnection(['driver' => 'sqlite', 'database' => $file]);
    $database->setAsGlobal();
    $app->instance(Deployments::class, new Deployments($database->getConnection()));

    $queue = new Queue($app);
    // A job of a worker that died is taken up again after so many seconds.
    $queue->addConnection(['driver' => 'database', 'table' => 'jobs', 'queue' => 'default', 'retry_after' => 1]);
    $queue->getQueueManager()->addConnector(
        'database',
        static fn (): DatabaseConnector => new DatabaseConnector($database->getDatabaseManager()),
    );
    return [$app, $queue, $database];
}
