PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE jobs (
	id VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	folder BLOB NOT NULL, 
	image BLOB NOT NULL, 
	image_size BIGINT NOT NULL, 
	image_mtime_ns BIGINT NOT NULL, 
	sidecar BLOB, 
	sidecar_size BIGINT, 
	sidecar_mtime_ns BIGINT, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	prompt TEXT, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	fit VARCHAR(16), 
	focus VARCHAR(64), 
	priority INTEGER NOT NULL, 
	take INTEGER DEFAULT '1' NOT NULL, 
	order_key VARCHAR(64), 
	reference_key VARCHAR(64), 
	likeness VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	retry_state VARCHAR(16), 
	reason TEXT NOT NULL, 
	mend TEXT NOT NULL, 
	obstacle TEXT DEFAULT '' NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	reference_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	note TEXT NOT NULL, 
	price BIGINT, 
	token VARCHAR(64), 
	submitted_at BIGINT, 
	lost_at BIGINT, 
	misses INTEGER NOT NULL, 
	losses INTEGER DEFAULT '0' NOT NULL, 
	reorders INTEGER DEFAULT '0' NOT NULL, 
	lost_reason TEXT DEFAULT '' NOT NULL, 
	witness_until BIGINT, 
	video_id TEXT, 
	progress INTEGER, 
	unwatched_ms BIGINT DEFAULT '0' NOT NULL, 
	generations INTEGER NOT NULL, 
	charged VARCHAR(8) NOT NULL, 
	account VARCHAR(32), 
	publishing BLOB, 
	publishing_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	clip BLOB, 
	filed BLOB NOT NULL, 
	lease_owner VARCHAR(128), 
	lease_until BIGINT, 
	top BLOB, 
	expected_price BIGINT, 
	batch INTEGER, 
	awaits_approval INTEGER DEFAULT '0' NOT NULL, 
	approved_at BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO jobs VALUES('aaaaaaaa','done',X'63617473',X'62656163682e6a7067',1234,1795000000000000000,X'62656163682e79616d6c',14,1795000000000000000,1795000000000,1795000000000,1795000000000,'waves','sora-2','1280x720',8,'crop','centre',0,1,'8e85f255457daf92608d222e477c368569222222d013899a6fae7373b405d63b','2919bee49a8ae906679ca14aa35d96ed8cb3e5e1e12c503dbc6bb867d0fd6d17','0104cb9c289dec9198086c819fd7712582803c4309e620ab19e0426108995320',0,NULL,'','','','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','',800000,'11111111111111111111111111111111',1795000000000,NULL,0,0,0,'',NULL,'video_1',100,0,0,'yes',NULL,NULL,'',X'636174732f62656163682e6d7034',X'62656163682e6a70670062656163682e79616d6c',NULL,NULL,X'63617473',NULL,NULL,0,NULL);
INSERT INTO jobs VALUES('bbbbbbbb','rendering',X'',X'68696c6c2e6a7067',99,1795000000000000000,NULL,NULL,NULL,1795000000000,1795000000000,1795000000000,'waves','sora-2','1280x720',8,'crop','centre',0,1,'02687df79684bf3952817712ea6631b159750a9256fab6b92eee8a53e49c1b15','e0a9ff2b542689b750862f5b32501542eb5492f09e6531e5cd65e724689c4034','0104cb9c289dec9198086c819fd7712582803c4309e620ab19e0426108995320',0,NULL,'','','','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','0000000000000000000000000000000000000000000000000000000000000000','',800000,'22222222222222222222222222222222',1795000000000,NULL,0,0,0,'',NULL,'video_2',40,0,0,'perhaps',NULL,NULL,'',NULL,X'',NULL,NULL,X'',NULL,NULL,0,NULL);
CREATE TABLE turns (
	state VARCHAR(16) NOT NULL, 
	folder BLOB NOT NULL, 
	number BIGINT NOT NULL, 
	PRIMARY KEY (state, folder)
);
CREATE TABLE purchases (
	token VARCHAR(64) NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	order_key VARCHAR(64) NOT NULL, 
	likeness VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	micros BIGINT, 
	standing VARCHAR(16) NOT NULL, 
	video_id TEXT, 
	folder BLOB, 
	image BLOB, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	clip BLOB, 
	take INTEGER DEFAULT '1' NOT NULL, 
	reference_key VARCHAR(64), 
	PRIMARY KEY (token)
);
INSERT INTO purchases VALUES('11111111111111111111111111111111','aaaaaaaa','8e85f255457daf92608d222e477c368569222222d013899a6fae7373b405d63b','0104cb9c289dec9198086c819fd7712582803c4309e620ab19e0426108995320',1795000000000,800000,'spent','video_1',X'63617473',X'62656163682e6a7067','sora-2','1280x720',8,X'636174732f62656163682e6d7034',1,'2919bee49a8ae906679ca14aa35d96ed8cb3e5e1e12c503dbc6bb867d0fd6d17');
INSERT INTO purchases VALUES('22222222222222222222222222222222','bbbbbbbb','02687df79684bf3952817712ea6631b159750a9256fab6b92eee8a53e49c1b15','0104cb9c289dec9198086c819fd7712582803c4309e620ab19e0426108995320',1795000000000,800000,'open','video_2',X'',X'68696c6c2e6a7067','sora-2','1280x720',8,NULL,1,'e0a9ff2b542689b750862f5b32501542eb5492f09e6531e5cd65e724689c4034');
CREATE TABLE history (
	number INTEGER NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO history VALUES(1,'aaaaaaaa',1795000000000,'done','');
INSERT INTO history VALUES(2,'bbbbbbbb',1795000000000,'rendering','');
CREATE TABLE commands (
	number INTEGER NOT NULL, 
	verb VARCHAR(16) NOT NULL, 
	job_id VARCHAR(16), 
	argument TEXT, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE notes (
	"key" VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO notes VALUES('schema','7');
CREATE INDEX jobs_by_state ON jobs (state, due_at);
CREATE INDEX jobs_by_reference ON jobs (reference_key);
CREATE INDEX jobs_by_take ON jobs (take);
CREATE INDEX jobs_by_likeness ON jobs (likeness, state);
CREATE INDEX jobs_by_turn ON jobs (state, awaits_approval, top, priority DESC, created_at, image_mtime_ns, image, id);
CREATE INDEX jobs_awaiting_approval ON jobs (batch, top, state, expected_price) WHERE awaits_approval = 1;
CREATE INDEX jobs_by_creation ON jobs (created_at);
CREATE INDEX jobs_by_order ON jobs (order_key);
CREATE INDEX jobs_by_batch ON jobs (batch, state, charged, expected_price) WHERE batch IS NOT NULL;
CREATE INDEX purchases_by_reference ON purchases (reference_key);
CREATE INDEX purchases_by_order ON purchases (order_key);
CREATE INDEX purchases_by_likeness ON purchases (likeness);
CREATE INDEX purchases_by_time ON purchases (at);
CREATE INDEX purchases_by_video ON purchases (video_id);
CREATE INDEX ix_history_job_id ON history (job_id);
COMMIT;
